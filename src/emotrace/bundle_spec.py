"""A bundle's `spec.json`: what it says, reading it and checking it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from emotrace.errors import BundleError
from emotrace.faces.crop import CropGeometry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SPEC_FILE: Final = "spec.json"
MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.md"
SPEC_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class ExpressionOutput:
    """One output of the model with balanced logits over (some of) the bundle's labels."""

    name: str
    labels: tuple[str, ...]
    temperature: float
    """Logits are divided by it; fitted on validation."""
    weights: dict[str, float]
    """Its share in the mixture, by prior name; `custom` for a prior of the user's own."""

    def weight_under(self, prior_name: str) -> float:
        """Return its share in the mixture under a prior; that of `custom` where none is stated."""
        return self.weights.get(prior_name, self.weights.get("custom", 0.0))


@dataclass(frozen=True, kw_only=True)
class BundleSpec:
    """What `spec.json` says."""

    name: str
    version: str
    description: str
    labels: tuple[str, ...]
    temporal: str
    """`none`: each crop is predicted by itself."""
    crop: CropGeometry
    input_name: str
    input_size_px: int
    expression_outputs: tuple[ExpressionOutput, ...]
    """The first must cover all labels; it fills in for what the others lack."""
    face_output: str | None
    """Name of the output with the log odds that the crop is a face, if there is one."""
    valence_arousal_output: str | None
    """Name of the output with valence and arousal in [-1, 1], if there is one."""
    priors: dict[str, tuple[float, ...]]
    """`training` and `default`, shares in the order of `labels`."""
    training_data: str
    licence: str
    model_sha256: str
    results: dict[str, Any] = field(default_factory=dict)
    """Measured on held-out data; the card explains them."""


def read_spec(folder: Path) -> BundleSpec:
    """Read a bundle's `spec.json`, without loading its model.

    Raises:
        BundleError: It is missing or not of the expected form; the message says where.
    """
    path = folder / SPEC_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"expected a bundle in {folder}; it has no {SPEC_FILE}; see `emotrace bundles list`"
        ) from None
    except (OSError, ValueError) as error:
        raise BundleError(f"expected readable JSON in {path}; got: {error}") from error
    if not isinstance(raw, dict) or raw.get("format") != SPEC_FORMAT:
        got = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise BundleError(
            f"expected bundle format {SPEC_FORMAT} in {path}; got {got}; update emotrace"
        )
    try:
        return _spec_from(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"expected a complete spec in {path}; got: {type(error).__name__}: {error}"
        ) from error


def spec_to_json(spec: BundleSpec) -> dict[str, Any]:
    """Return what `spec.json` holds for a spec: the inverse of `read_spec`."""
    geometry = spec.crop
    return {
        "format": SPEC_FORMAT,
        "name": spec.name,
        "version": spec.version,
        "description": spec.description,
        "labels": list(spec.labels),
        "temporal": spec.temporal,
        "crop": {name: getattr(geometry, name) for name in _GEOMETRY_FIELDS},
        "input": {"name": spec.input_name, "size_px": spec.input_size_px, "colour": "grey"},
        "expression_outputs": [
            {
                "name": output.name,
                "labels": list(output.labels),
                "temperature": output.temperature,
                "weights": output.weights,
            }
            for output in spec.expression_outputs
        ],
        "face_output": spec.face_output,
        "valence_arousal_output": spec.valence_arousal_output,
        "priors": {
            name: dict(zip(spec.labels, shares, strict=True))
            for name, shares in spec.priors.items()
        },
        "training_data": spec.training_data,
        "licence": spec.licence,
        "model_sha256": spec.model_sha256,
        "results": spec.results,
    }


_GEOMETRY_FIELDS: Final = (
    "size_px",
    "scale",
    "offset_x",
    "offset_y",
    "align",
    "max_roll_degrees",
)


def _spec_from(raw: dict[str, Any]) -> BundleSpec:
    labels = tuple(raw["labels"])
    outputs = tuple(
        ExpressionOutput(
            name=str(item["name"]),
            labels=tuple(item["labels"]),
            temperature=float(item["temperature"]),
            weights={str(name): float(weight) for name, weight in item["weights"].items()},
        )
        for item in raw["expression_outputs"]
    )
    if not outputs or set(outputs[0].labels) != set(labels):
        raise ValueError("the first expression output must cover all labels")
    unknown = {name for output in outputs for name in output.labels} - set(labels)
    if unknown:
        raise ValueError(f"outputs name labels that the bundle lacks: {sorted(unknown)}")
    if raw["input"]["colour"] != "grey":
        raise ValueError(f"input colour must be grey, not {raw['input']['colour']!r}")
    priors = {
        str(name): tuple(float(shares[label]) for label in labels)
        for name, shares in raw["priors"].items()
    }
    _check_mixture(outputs, priors)
    return BundleSpec(
        name=str(raw["name"]),
        version=str(raw["version"]),
        description=str(raw["description"]),
        labels=labels,
        temporal=str(raw["temporal"]),
        crop=CropGeometry(**{name: raw["crop"][name] for name in _GEOMETRY_FIELDS}),
        input_name=str(raw["input"]["name"]),
        input_size_px=int(raw["input"]["size_px"]),
        expression_outputs=outputs,
        face_output=raw["face_output"],
        valence_arousal_output=raw["valence_arousal_output"],
        priors=priors,
        training_data=str(raw["training_data"]),
        licence=str(raw["licence"]),
        model_sha256=str(raw["model_sha256"]),
        results=dict(raw["results"]),
    )


def _check_mixture(
    outputs: Sequence[ExpressionOutput], priors: Mapping[str, Sequence[float]]
) -> None:
    """Refuse numbers that would make probabilities NaN or negative."""
    for output in outputs:
        if not (math.isfinite(output.temperature) and output.temperature > 0):
            raise ValueError(f"temperature of {output.name} must be above 0: {output.temperature}")
    for name, shares in priors.items():
        if not all(math.isfinite(share) and share >= 0 for share in shares) or sum(shares) <= 0:
            raise ValueError(f"shares of prior {name!r} must be 0 or more, not all 0")
    for name in (*priors, "uniform", "custom"):
        weights = [output.weight_under(name) for output in outputs]
        if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
            raise ValueError(f"weights under prior {name!r} must be 0 or more, not all 0")
