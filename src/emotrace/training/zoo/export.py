"""From a network of the zoo to a bundle that `analyze` runs, verified against torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from emotrace.bundle import load_bundle
from emotrace.bundle_memory import RecurrentSpec, StateSpec, WindowSpec, temporal_kind
from emotrace.bundle_outputs import TRAINING_PRIOR, ExpressionOutput, OtherOutput
from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    spec_to_json,
)
from emotrace.errors import OutputError, TrainingError, UsageError
from emotrace.models.architecture import HeadKind, InputKind, SequenceNetwork
from emotrace.models.onnx_export import (
    ONNX_TOLERANCE,
    OUTPUTS,
    export_onnx,
    input_name,
    state_names,
)
from emotrace.storage import ensure_folder
from emotrace.training.zoo.card import write_zoo_card
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle
    from emotrace.bundle_memory import MemorySpec
    from emotrace.faces.crop import CropGeometry
    from emotrace.models.architecture import Architecture, Head, Network

EXPRESSION_HEAD: Final = "expression"
_VALENCE_AROUSAL: Final = ("valence", "arousal")
_CHECKED_STEPS: Final = 5
"""Frames of a sequence on which a recurrent bundle must equal the network run over all at once."""
_CHECKED_TRACKS: Final = 2


@dataclass(frozen=True, kw_only=True)
class BundleFacts:
    """What a bundle says of itself that its network does not know."""

    name: str
    labels: Mapping[str, Sequence[str]]
    """What each value of each head stands for, by the head's name."""
    crop: CropGeometry
    """How the faces that it was trained on were cut."""
    training_data: str
    licence: str
    """Of the weights; what the training data allows."""
    description: str = ""
    """One line without a full stop; the architecture's summary where empty."""
    training_prior: Mapping[str, float] | None = None
    """Share of each expression in training, as drawn. None where nobody knows: the bundle then
    refuses other priors."""
    balanced: bool = False
    """The expression logits were trained with the logarithm of the prior added to them, so that
    they hold the evidence alone."""
    temperature: float = 1.0
    """The expression logits are divided by it; fitted on validation."""
    frame_seconds: float | None = None
    """Time from one frame of a training example to the next. None: not to be minded."""
    frame_step: int = 1
    """Where `frame_seconds` is None: frames of the video from one to the next, of a clip."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """Measured on held-out data, ready for JSON."""
    version: str = __version__


def export_zoo_bundle(
    network: Network,
    architecture: Architecture,
    options: Any,
    folder: str | Path,
    facts: BundleFacts,
) -> Path:
    """Make a bundle of a network.

    The bundle is written only if it loads and gives what torch gives to 1e-4: a sequence network
    frame by frame, with its state carried, against one run over the whole sequence.

    Args:
        network: Trained, on the CPU. Left as it is.
        architecture: Its row of the zoo.
        options: Those it was built from.
        folder: Made where missing; a bundle that lies there is replaced.
        facts: What else there is to say.

    Returns:
        `folder`.

    Raises:
        UsageError: The facts do not fit the network, or it takes vectors.
        TrainingError: ONNX does not say what torch says.
        OutputError: The bundle cannot be written.
    """
    spec = _make_spec(network, architecture, options, facts)
    folder = ensure_folder(Path(folder))
    parameters = sum(value.numel() for value in network.parameters() if value.requires_grad)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as scratch:
            made = Path(scratch)
            export_onnx(network, architecture, options, made / MODEL_FILE)
            spec = dataclasses.replace(
                spec,
                model_sha256=hashlib.sha256((made / MODEL_FILE).read_bytes()).hexdigest(),
                results={**facts.results, "cost": {"parameters": parameters}},
            )
            card = write_zoo_card(
                spec,
                architecture=architecture.name,
                paper=architecture.paper,
                parameters=parameters,
            )
            (made / SPEC_FILE).write_text(json.dumps(spec_to_json(spec), indent=1) + "\n", "utf-8")
            (made / CARD_FILE).write_text(card, "utf-8")
            _compare(load_bundle(made), network)
            for name in (MODEL_FILE, CARD_FILE, SPEC_FILE):
                (made / name).replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"expected to write the bundle {folder}; got: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error
    return folder


def _make_spec(
    network: Network, architecture: Architecture, options: Any, facts: BundleFacts
) -> BundleSpec:
    if architecture.kind is InputKind.VECTOR_SEQUENCE:
        raise UsageError(
            f"expected a network that takes pictures; {architecture.name} takes vectors: put it "
            "behind the network that made them (emotrace.models.join.join_extractor)"
        )
    if options.input_channels not in (1, 3):
        raise UsageError(
            f"expected pictures of 1 (grey) or 3 (colour) channels; got {options.input_channels}"
        )
    _check_labels(network.heads, facts.labels)
    expressions, affect_start, others = _outputs(network.heads, facts)
    labels = expressions[0].labels if expressions else ()
    memory = _memory(network, architecture, options, facts)
    return BundleSpec(
        name=facts.name,
        version=facts.version,
        description=facts.description or f"{architecture.name}: {architecture.summary}",
        labels=labels,
        temporal=temporal_kind(memory),
        crop=facts.crop,
        input_name=input_name(architecture),
        input_size_px=options.input_size_px,
        expression_outputs=expressions,
        face_output=None,
        valence_arousal_output=None if affect_start is None else OUTPUTS,
        priors=_priors(labels, facts),
        training_data=facts.training_data,
        licence=facts.licence,
        model_sha256="",
        colour="rgb" if options.input_channels == 3 else "grey",
        memory=memory,
        valence_arousal_start=affect_start,
        other_outputs=others,
    )


def _check_labels(heads: Sequence[Head], labels: Mapping[str, Sequence[str]]) -> None:
    for head in heads:
        names = labels.get(head.name, ())
        if len(names) != head.size or len(set(names)) != head.size:
            raise UsageError(
                f"expected {head.size} different labels for the head {head.name!r}; "
                f"got {', '.join(names) or 'none'}"
            )
    unknown = set(labels) - {head.name for head in heads}
    if unknown:
        raise UsageError(
            f"expected labels for the heads {', '.join(head.name for head in heads)}; "
            f"got some for {', '.join(sorted(unknown))}"
        )


def _outputs(
    heads: Sequence[Head], facts: BundleFacts
) -> tuple[tuple[ExpressionOutput, ...], int | None, tuple[OtherOutput, ...]]:
    """Return expression outputs, the column of valence, and what else there is."""
    expressions: list[ExpressionOutput] = []
    others: list[OtherOutput] = []
    affect_start: int | None = None
    start = 0
    for head in heads:
        names = tuple(facts.labels[head.name])
        if head.kind is HeadKind.CATEGORICAL and head.name == EXPRESSION_HEAD:
            expressions.append(
                ExpressionOutput(
                    name=head.name,
                    labels=names,
                    temperature=facts.temperature,
                    weights={"custom": 1.0},
                    output=OUTPUTS,
                    start=start,
                    balanced=facts.balanced,
                )
            )
        elif head.kind is HeadKind.CONTINUOUS and names == _VALENCE_AROUSAL:
            affect_start = start
        else:
            others.append(
                OtherOutput(
                    name=head.name, kind=head.kind.value, labels=names, output=OUTPUTS, start=start
                )
            )
        start += head.size
    return tuple(expressions), affect_start, tuple(others)


def _priors(labels: Sequence[str], facts: BundleFacts) -> dict[str, tuple[float, ...]]:
    prior = facts.training_prior
    if prior is None:
        if facts.balanced:
            raise UsageError(
                "expected the training prior of balanced logits: without it no probabilities can "
                "be made of them; got none"
            )
        return {}
    if set(prior) != set(labels) or not all(prior[label] > 0 for label in prior):
        raise UsageError(
            f"expected a share above 0 in the training prior for each of {', '.join(labels)}; "
            f"got {dict(prior)}; a label that training never saw cannot be predicted: leave it out"
        )
    total = sum(prior.values())
    shares = tuple(prior[label] / total for label in labels)
    # No other default has been measured to be better.
    return {TRAINING_PRIOR: shares, "default": shares}


def _memory(
    network: Network, architecture: Architecture, options: Any, facts: BundleFacts
) -> MemorySpec | None:
    if architecture.kind is InputKind.CLIP:
        return WindowSpec(
            frames=options.frames,
            frame_seconds=facts.frame_seconds,
            frame_step=1 if facts.frame_seconds is not None else facts.frame_step,
        )
    if not isinstance(network, SequenceNetwork):
        return None
    beginning = network.initial_state(1)
    if any(state.abs().max() > 0 for state in beginning if state.numel()):
        raise TrainingError(
            f"expected {architecture.name} to begin with a state of zeros, as bundles do; "
            "got other values"
        )
    before, after = state_names(len(beginning))
    return RecurrentSpec(
        states=tuple(
            StateSpec(name=name, output=output, shape=tuple(state.shape[1:]))
            for name, output, state in zip(before, after, beginning, strict=True)
        ),
        frame_seconds=facts.frame_seconds,
    )


def _compare(bundle: Bundle, network: Network) -> None:
    """Refuse a bundle that, run as `analyze` runs it, says something else than the network."""
    spec = bundle.spec
    steps = spec.memory.frames if isinstance(spec.memory, WindowSpec) else _CHECKED_STEPS
    side = spec.input_size_px
    pictures = np.random.default_rng(0).random(
        (_CHECKED_TRACKS, steps, spec.input_channels, side, side), np.float32
    )
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        inputs = torch.from_numpy(pictures)
        said = network(inputs[:, 0] if spec.memory is None else inputs)
    network.train(was_training)
    expected = (said.outputs if isinstance(network, SequenceNetwork) else said).numpy()
    gap = float(np.abs(_run(bundle, pictures) - expected).max())
    # Of large values 32 bits have no more than so many digits.
    scale = max(1.0, float(np.abs(expected).max()))
    if not gap <= ONNX_TOLERANCE * scale:  # also where it is not a number
        raise TrainingError(
            f"expected the bundle {spec.name} to equal its network to {ONNX_TOLERANCE}; "
            f"got a difference of {gap:.2g}"
        )


def _run(bundle: Bundle, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a bundle over `(tracks, steps, channels, size, size)` and return all outputs."""
    memory = bundle.spec.memory
    if memory is None:
        return bundle.score_pixels(pictures[:, 0])[OUTPUTS]
    if isinstance(memory, WindowSpec):
        return bundle.score_pixels(pictures)[OUTPUTS]
    states = [np.zeros((len(pictures), *state.shape), np.float32) for state in memory.states]
    outputs = []
    for at in range(pictures.shape[1]):
        said = bundle.score_pixels(pictures[:, at], states)
        states = [said[state.output] for state in memory.states]
        outputs.append(said[OUTPUTS])
    return np.stack(outputs, axis=1)
