"""A bundle's `spec.json`: what it says, reading it and checking it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from emotrace.bundle_memory import MemorySpec, memory_to_json, read_memory
from emotrace.bundle_outputs import (
    ExpressionOutput,
    OtherOutput,
    check_labels,
    check_mixture,
    check_training_prior,
    expression_to_json,
    other_to_json,
    read_expression,
    read_other,
    read_start,
)
from emotrace.errors import BundleError
from emotrace.faces.crop import CropGeometry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "CARD_FILE",
    "MODEL_FILE",
    "SPEC_FILE",
    "SPEC_FORMATS",
    "BundleSpec",
    "Colour",
    "ExpressionOutput",
    "read_spec",
    "spec_to_json",
]

SPEC_FILE: Final = "spec.json"
MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.md"
SPEC_FORMATS: Final = (1, 2)
"""2 is written where a bundle needs what readers of 1 do not know: see `BundleSpec.format`."""

Colour = Literal["grey", "rgb"]


@dataclass(frozen=True, kw_only=True)
class BundleSpec:
    """What `spec.json` says."""

    name: str
    version: str
    description: str
    labels: tuple[str, ...]
    temporal: str
    """`none`: each crop is predicted by itself. `window`, `recurrent`: see `memory`."""
    crop: CropGeometry
    input_name: str
    input_size_px: int
    expression_outputs: tuple[ExpressionOutput, ...]
    """The first must cover all labels; it fills in for what the others lack. None at all where the
    bundle has no `labels` and predicts other things."""
    face_output: str | None
    """Name of the output with the log odds that the crop is a face, if there is one."""
    valence_arousal_output: str | None
    """Name of the output with valence and arousal in [-1, 1], if there is one."""
    priors: dict[str, tuple[float, ...]]
    """`training` and `default`, shares in the order of `labels`. None at all where the logits are
    not balanced and nobody knows the training data's shares."""
    training_data: str
    licence: str
    model_sha256: str
    results: dict[str, Any] = field(default_factory=dict)
    """Measured on held-out data; the card explains them."""
    temperatures: dict[str, float] = field(default_factory=dict)
    """Of the mixture, by prior name: its probabilities are raised to 1 / temperature and scaled to
    sum to 1. Changes no top label; fitted on validation so that the confidence is the probability
    of being right, but under `votes`, where the probabilities are shares of annotators."""
    face_threshold: float | None = None
    """`analyze` rejects a face whose face probability, over the track's last moments, is below it
    (`emotrace.analysis.rejection`); None where nothing is to be rejected."""
    uncertain_threshold: float | None = None
    """A prediction whose confidence is below it counts as uncertain; None where none does."""
    colour: Colour = "grey"
    """Of the model's input: one channel or three, always in [0, 1]."""
    memory: MemorySpec | None = None
    """What a temporal bundle remembers; None where `temporal` is `none`."""
    valence_arousal_start: int | None = None
    """Column of valence in `valence_arousal_output`, arousal's is the next one; None where the
    output holds these two and nothing else."""
    other_outputs: tuple[OtherOutput, ...] = ()

    @property
    def input_channels(self) -> int:
        """1 for grey pictures, 3 for coloured ones."""
        return 3 if self.colour == "rgb" else 1

    @property
    def format(self) -> int:
        """The lowest format that can say this: 1 for what emotrace 0.1 could, else 2."""
        is_plain = (
            self.memory is None
            and self.colour == "grey"
            and self.valence_arousal_start is None
            and not self.other_outputs
            and bool(self.labels)
            and all(item.output is None and item.balanced for item in self.expression_outputs)
        )
        return 1 if is_plain else 2

    def temperature_under(self, prior_name: str) -> float:
        """Return the mixture's temperature under a prior; that of `custom` or 1 if not stated."""
        return self.temperatures.get(prior_name, self.temperatures.get("custom", 1.0))


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
    if not isinstance(raw, dict) or raw.get("format") not in SPEC_FORMATS:
        got = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        known = " or ".join(map(str, SPEC_FORMATS))
        raise BundleError(f"expected bundle format {known} in {path}; got {got}; update emotrace")
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
        "format": spec.format,
        "name": spec.name,
        "version": spec.version,
        "description": spec.description,
        "labels": list(spec.labels),
        "temporal": spec.temporal,
        "crop": {name: getattr(geometry, name) for name in _GEOMETRY_FIELDS},
        "input": {"name": spec.input_name, "size_px": spec.input_size_px, "colour": spec.colour},
        "expression_outputs": [expression_to_json(item) for item in spec.expression_outputs],
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
        # Left out where nothing is stated: as bundles were before they could state it.
        **({"temperatures": spec.temperatures} if spec.temperatures else {}),
        **{name: getattr(spec, name) for name in _THRESHOLDS if getattr(spec, name) is not None},
        **_later_fields_to_json(spec),
    }


def _later_fields_to_json(spec: BundleSpec) -> dict[str, Any]:
    """Return the fields that came with format 2, those that a spec makes use of."""
    value: dict[str, Any] = {}
    if spec.memory is not None:
        value["memory"] = memory_to_json(spec.memory)
    if spec.valence_arousal_start is not None:
        value["valence_arousal_start"] = spec.valence_arousal_start
    if spec.other_outputs:
        value["other_outputs"] = [other_to_json(item) for item in spec.other_outputs]
    return value


_GEOMETRY_FIELDS: Final = (
    "size_px",
    "scale",
    "offset_x",
    "offset_y",
    "align",
    "max_roll_degrees",
)


_THRESHOLDS: Final = ("face_threshold", "uncertain_threshold")


def _read_threshold(raw: Mapping[str, Any], name: str) -> float | None:
    """Return a probability that the spec may state; None where it does not."""
    if raw.get(name) is None:
        return None
    value = float(raw[name])
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1]: {value}")
    return value


def _spec_from(raw: dict[str, Any]) -> BundleSpec:
    labels = tuple(raw["labels"])
    outputs = tuple(read_expression(item) for item in raw["expression_outputs"])
    others = tuple(read_other(item) for item in raw.get("other_outputs", ()))
    check_labels(labels, outputs)
    if not labels and raw["valence_arousal_output"] is None and not others:
        raise ValueError("a bundle without labels must predict something else")
    if raw["input"]["colour"] not in get_args(Colour):
        raise ValueError(f"input colour must be grey or rgb, not {raw['input']['colour']!r}")
    priors = {
        str(name): tuple(float(shares[label]) for label in labels)
        for name, shares in raw["priors"].items()
    }
    check_mixture(outputs, priors)
    check_training_prior(outputs, priors)
    temperatures = {str(name): float(value) for name, value in raw.get("temperatures", {}).items()}
    for name, value in temperatures.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"temperature under prior {name!r} must be above 0: {value}")
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
        temperatures=temperatures,
        face_threshold=_read_threshold(raw, "face_threshold"),
        uncertain_threshold=_read_threshold(raw, "uncertain_threshold"),
        colour=raw["input"]["colour"],
        memory=read_memory(raw["temporal"], raw.get("memory")),
        valence_arousal_start=_read_valence_arousal_start(raw),
        other_outputs=others,
    )


def _read_valence_arousal_start(raw: Mapping[str, Any]) -> int | None:
    start = raw.get("valence_arousal_start")
    if start is None:
        return None
    if raw["valence_arousal_output"] is None:
        raise ValueError("valence_arousal_start without valence_arousal_output")
    return read_start(start)
