"""What the values that a bundle's model gives back mean: a part of `spec.json`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRAINING_PRIOR: Final = "training"
"""The prior that holds the labels' shares in the training data."""
VOTES_PRIOR: Final = "votes"
"""Prior under which probabilities are shares of annotators, and the confidence is no chance of
being right."""

OutputKind = Literal["categorical", "multi_label", "continuous"]


@dataclass(frozen=True, kw_only=True)
class ExpressionOutput:
    """Logits of the model over (some of) the bundle's labels."""

    name: str
    labels: tuple[str, ...]
    temperature: float
    """Logits are divided by it; fitted on validation."""
    weights: dict[str, float]
    """Its share in the mixture, by prior name; `custom` for a prior of the user's own."""
    output: str | None = None
    """The model's output that holds these logits among other values; None where the output called
    `name` holds them and nothing else."""
    start: int = 0
    """Their first column in `output`."""
    balanced: bool = True
    """True: the evidence alone, as if all labels were equally common. False: plain logits, which
    contain how common each label was in training; the prior `training` takes that out."""

    def weight_under(self, prior_name: str) -> float:
        """Return its share in the mixture under a prior; that of `custom` where none is stated."""
        return self.weights.get(prior_name, self.weights.get("custom", 0.0))


@dataclass(frozen=True, kw_only=True)
class OtherOutput:
    """Values that no table shows, for use from Python: action units, emotions seen together."""

    name: str
    """The task: `action_units`, ..."""
    kind: OutputKind
    """`categorical`: logits of which one holds; `multi_label`: logits of which any may hold;
    `continuous`: values as they are."""
    labels: tuple[str, ...]
    """What each value is about."""
    output: str
    """The model's output that holds them."""
    start: int = 0
    """Their first column in `output`."""


def read_expression(raw: Mapping[str, Any]) -> ExpressionOutput:
    """Return what an item of `expression_outputs` in `spec.json` says.

    Raises:
        KeyError: A field is missing.
        ValueError: A value cannot work.
    """
    balanced = raw.get("balanced", True)
    if balanced not in (True, False):
        raise ValueError(f"balanced of {raw['name']!r} must be true or false, not {balanced!r}")
    return ExpressionOutput(
        name=str(raw["name"]),
        labels=tuple(raw["labels"]),
        temperature=float(raw["temperature"]),
        weights={str(name): float(weight) for name, weight in raw["weights"].items()},
        output=None if raw.get("output") is None else str(raw["output"]),
        start=read_start(raw.get("start", 0)),
        balanced=bool(balanced),
    )


def expression_to_json(item: ExpressionOutput) -> dict[str, Any]:
    """Return what `spec.json` holds for an expression output: the inverse of `read_expression`."""
    value: dict[str, Any] = {
        "name": item.name,
        "labels": list(item.labels),
        "temperature": item.temperature,
        "weights": item.weights,
    }
    if item.output is not None:
        value |= {"output": item.output, "start": item.start}
    if not item.balanced:
        value["balanced"] = False
    return value


def read_other(raw: Mapping[str, Any]) -> OtherOutput:
    """Return what an item of `other_outputs` in `spec.json` says.

    Raises:
        KeyError: A field is missing.
        ValueError: A value cannot work.
    """
    if raw["kind"] not in get_args(OutputKind):
        known = ", ".join(get_args(OutputKind))
        raise ValueError(f"kind of {raw['name']!r} must be one of {known}, not {raw['kind']!r}")
    if not raw["labels"]:
        raise ValueError(f"output {raw['name']!r} must have labels")
    return OtherOutput(
        name=str(raw["name"]),
        kind=raw["kind"],
        labels=tuple(str(label) for label in raw["labels"]),
        output=str(raw["output"]),
        start=read_start(raw["start"]),
    )


def other_to_json(item: OtherOutput) -> dict[str, Any]:
    """Return what `spec.json` holds for one of `other_outputs`: the inverse of `read_other`."""
    return {
        "name": item.name,
        "kind": item.kind,
        "labels": list(item.labels),
        "output": item.output,
        "start": item.start,
    }


def read_start(value: Any) -> int:
    """Return a column to start at.

    Raises:
        ValueError: It is below 0.
    """
    start = int(value)
    if start < 0:
        raise ValueError(f"a column to start at must be 0 or more, not {start}")
    return start


def check_labels(labels: Sequence[str], outputs: Sequence[ExpressionOutput]) -> None:
    """Check that expression outputs fit the bundle's labels.

    Raises:
        ValueError: They do not.
    """
    if set(outputs[0].labels if outputs else ()) != set(labels):
        raise ValueError("the first expression output must cover all labels")
    unknown = {name for output in outputs for name in output.labels} - set(labels)
    if unknown:
        raise ValueError(f"outputs name labels that the bundle lacks: {sorted(unknown)}")


def check_mixture(
    outputs: Sequence[ExpressionOutput], priors: Mapping[str, Sequence[float]]
) -> None:
    """Check that no number can make probabilities NaN or negative.

    Raises:
        ValueError: One can.
    """
    for output in outputs:
        if not (math.isfinite(output.temperature) and output.temperature > 0):
            raise ValueError(f"temperature of {output.name} must be above 0: {output.temperature}")
    for name, shares in priors.items():
        if not all(math.isfinite(share) and share >= 0 for share in shares) or sum(shares) <= 0:
            raise ValueError(f"shares of prior {name!r} must be 0 or more, not all 0")
    for name in (*priors, "uniform", "custom") if outputs else ():
        weights = [output.weight_under(name) for output in outputs]
        if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
            raise ValueError(f"weights under prior {name!r} must be 0 or more, not all 0")


def check_training_prior(
    outputs: Sequence[ExpressionOutput], priors: Mapping[str, Sequence[float]]
) -> None:
    """Check that the training prior can be taken out of plain logits where that will be asked for.

    Raises:
        ValueError: It cannot.
    """
    plain = [output.name for output in outputs if not output.balanced]
    if not plain:
        return
    training = priors.get(TRAINING_PRIOR)
    if training is None and (priors or len(plain) < len(outputs)):
        raise ValueError(
            f"{plain[0]!r} is not balanced: other priors, and balanced outputs beside it, need the "
            f"prior {TRAINING_PRIOR!r}"
        )
    if training is not None and min(training) <= 0:
        raise ValueError(
            f"{plain[0]!r} is not balanced: no share of the prior {TRAINING_PRIOR!r} may be 0"
        )
