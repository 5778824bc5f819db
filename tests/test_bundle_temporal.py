"""Bundles of format 2: memory, colour, slices of one output, plain logits, other labels."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper

from emotrace.analysis.columns import ExpressionColumns
from emotrace.analysis.temporal import TrackPredictor
from emotrace.bundle import AS_TRAINED, CropPredictions, load_bundle, mix_expressions
from emotrace.bundle_memory import RecurrentSpec, StateSpec, WindowSpec
from emotrace.bundle_outputs import ExpressionOutput, OtherOutput
from emotrace.bundle_spec import SPEC_FILE, read_spec, spec_to_json
from emotrace.errors import BundleError, UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import ValenceArousalSource
from tests.temporal_bundles import (
    SIZE_PX,
    WEIGHTS,
    brightness_of,
    expected_outputs,
    flat_crop,
    make_spec,
    model_of,
    recurrent_bundle,
    window_bundle,
    write_bundle,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emotrace.bundle_outputs import OutputKind

STATE = StateSpec(name="state_0", output="state_0_out", shape=(1,))
UNITS = OtherOutput(
    name="action_units", kind="multi_label", labels=("au_01", "au_12"), output="outputs", start=8
)
PLAIN = make_spec(None).expression_outputs[0]


def change_spec(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / SPEC_FILE
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def image_bundle(folder: Path, *, channels: int = 1, **changes: Any) -> Path:
    """Outputs are weights of the crop's brightness (of its third channel where it has colour)."""
    nodes = [
        helper.make_node("ReduceMean", ["faces", "last_axes"], ["each"], keepdims=0),
        helper.make_node("MatMul", ["each", "channel"], ["brightness"]),
        helper.make_node("MatMul", ["brightness", "weights"], ["outputs"]),
    ]
    model = model_of(
        nodes,
        {"faces": ["n", channels, SIZE_PX, SIZE_PX]},
        {"outputs": ["n", WEIGHTS.shape[1]]},
    )
    channel = [0.0] * (channels - 1) + [1.0]
    model.graph.initializer.append(helper.make_tensor("channel", 1, [channels, 1], channel))
    model.graph.initializer.append(helper.make_tensor("last_axes", 7, [2], [2, 3]))
    return write_bundle(folder, model, make_spec(None, **changes))


# --- what a spec says ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"memory": RecurrentSpec(states=(STATE,), frame_seconds=0.04), "temporal": "recurrent"},
        {"memory": WindowSpec(frames=9, frame_seconds=None, frame_step=4), "temporal": "window"},
        {"colour": "rgb"},
        {"other_outputs": (UNITS,)},
        {"labels": (), "expression_outputs": (), "priors": {}},
    ],
)
def test_a_spec_comes_back_as_it_was_written(changes: dict[str, Any], tmp_path: Path) -> None:
    spec = dataclasses.replace(make_spec(None), **changes)
    written = spec_to_json(spec)
    assert written["format"] == spec.format == 2
    (tmp_path / SPEC_FILE).write_text(json.dumps(written))
    assert read_spec(tmp_path) == spec


def test_a_spec_that_needs_nothing_new_keeps_the_old_format() -> None:
    plain = ExpressionOutput(name="a", labels=EMOTIONS, temperature=1, weights={"custom": 1})
    spec = make_spec(None, expression_outputs=(plain,), valence_arousal_start=None)
    written = spec_to_json(spec)
    assert written["format"] == 1
    assert not {"memory", "other_outputs", "valence_arousal_start"} & set(written)
    assert set(written["expression_outputs"][0]) == {"name", "labels", "temperature", "weights"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda raw: raw.update(temporal="sometimes"), "temporal must be one of .*'sometimes'"),
        (lambda raw: raw.update(temporal="none"), "temporal 'none' must have no memory"),
        (lambda raw: raw.pop("memory"), "temporal 'recurrent' needs memory, an object; got None"),
        (lambda raw: raw["memory"].pop("states"), "KeyError: 'states'"),
        (lambda raw: raw["memory"].pop("frame_seconds"), "KeyError: 'frame_seconds'"),
        (lambda raw: raw["memory"].update(frame_seconds=0), "frame_seconds must be above 0 or nu"),
        (lambda raw: raw["memory"].update(states=[]), "states must be one or more, no name twice"),
        (
            lambda raw: raw["memory"]["states"].append(raw["memory"]["states"][0]),
            "states must be one or more, no name twice",
        ),
        (lambda raw: raw["memory"]["states"][0].update(shape=[-1]), r"of sizes from 0: \(-1,\)"),
        (
            lambda raw: raw.update(temporal="window", memory={"frames": 0, "frame_seconds": None}),
            "memory.frames must be at least 1, not 0",
        ),
        (lambda raw: raw["expression_outputs"][0].update(balanced="no"), "true or false, not 'no'"),
        (lambda raw: raw["expression_outputs"][0].update(start=-1), "0 or more, not -1"),
        (lambda raw: raw.update(valence_arousal_output=None), "without valence_arousal_output"),
        (lambda raw: raw["priors"].pop("training"), "need the prior 'training'"),
        (
            lambda raw: raw["priors"]["training"].update(fear=0),
            "no share of the prior 'training' may be 0",
        ),
        (
            lambda raw: raw.update(
                labels=[],
                expression_outputs=[],
                priors={},
                valence_arousal_output=None,
                valence_arousal_start=None,
            ),
            "a bundle without labels must predict something else",
        ),
        (
            lambda raw: raw.update(
                other_outputs=[{"name": "x", "kind": "odd", "labels": ["a"], "output": "o"}]
            ),
            "kind of 'x' must be one of categorical, multi_label, continuous, not 'odd'",
        ),
    ],
)
def test_a_spec_that_cannot_work_says_why(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    folder = recurrent_bundle(tmp_path / "made")
    change_spec(folder, change)
    with pytest.raises(BundleError, match=rf"expected a complete spec in .*{told}"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda raw: raw["memory"]["states"][0].update(name="state_1"),
            r"to have 'state_1' of shape \(1,\)",
        ),
        (
            lambda raw: raw["memory"]["states"][0].update(shape=[3]),
            r"to have 'state_0' of shape \(3,\)",
        ),
        (
            lambda raw: raw["memory"]["states"][0].update(output="after"),
            r"to have 'after' of shape \(1,\)",
        ),
        (
            lambda raw: raw["input"].update(colour="rgb"),
            r"to have 'faces' of shape \('any', 3, 8, 8\)",
        ),
        (
            lambda raw: raw.update(valence_arousal_start=9),
            r"to have 'outputs' of shape \(11 or more,\)",
        ),
        (
            lambda raw: raw.update(temporal="window", memory={"frames": 2, "frame_seconds": None}),
            r"to have 'faces' of shape \(2, 1, 8, 8\)",
        ),
    ],
)
def test_a_model_of_another_shape_than_its_spec_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    folder = recurrent_bundle(tmp_path / "made")
    change_spec(folder, change)
    with pytest.raises(BundleError, match=rf"expected the model in .* {told} a picture"):
        load_bundle(folder)


def test_a_state_that_the_spec_does_not_name_is_refused(tmp_path: Path) -> None:
    model = model_of(
        [
            helper.make_node("ReduceMean", ["faces", "pixel_axes"], ["brightness"], keepdims=0),
            helper.make_node("Add", ["state_0", "brightness"], ["state_0_out"]),
            helper.make_node("Add", ["state_1", "state_0_out"], ["both"]),
            helper.make_node("MatMul", ["both", "weights"], ["flat"]),
            helper.make_node("Unsqueeze", ["flat", "step_axis"], ["outputs"]),
        ],
        {"faces": ["n", 1, 1, 8, 8], "state_0": ["n", 1], "state_1": ["n", 1]},
        {"outputs": ["n", 1, WEIGHTS.shape[1]], "state_0_out": ["n", 1]},
    )
    memory = RecurrentSpec(states=(STATE,), frame_seconds=None)
    folder = write_bundle(tmp_path / "made", model, make_spec(memory))
    with pytest.raises(BundleError, match="also takes state_1: the spec must name every state"):
        load_bundle(folder)


# --- pictures ------------------------------------------------------------------------------------


def test_coloured_pictures_keep_their_channels_in_order(tmp_path: Path) -> None:
    bundle = load_bundle(image_bundle(tmp_path / "made", channels=3, colour="rgb"))
    crop = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    crop[:] = 10, 100, 200
    np.testing.assert_allclose(
        bundle.predict_crops([crop])[0], expected_outputs(brightness_of(200))[0], atol=1e-6
    )
    larger = np.repeat(np.repeat(crop, 5, axis=0), 3, axis=1)
    np.testing.assert_allclose(bundle.predict_crops([larger]), bundle.predict_crops([crop]))
    assert bundle.prepare([crop]).shape == (1, 3, SIZE_PX, SIZE_PX)
    assert bundle.prepare([]).shape == (0, 3, SIZE_PX, SIZE_PX)


# --- priors --------------------------------------------------------------------------------------


def test_plain_logits_give_their_own_softmax_under_the_training_prior() -> None:
    prior = np.array([0.2, 0.3, 0.5])
    output = dataclasses.replace(PLAIN, labels=("a", "b", "c"), temperature=0.5)
    spec = make_spec(
        None, labels=("a", "b", "c"), expression_outputs=(output,), priors={"training": (2, 3, 5)}
    )
    logits = {"expression": np.log(np.array([[2.0, 1.0, 3.0]], np.float32))}
    mixed = mix_expressions(spec, logits, np.log(prior), "training")
    # exp(ln(k) / 0.5) = k ** 2.
    np.testing.assert_allclose(mixed, [[4 / 14, 1 / 14, 9 / 14]], rtol=1e-6)
    even = mix_expressions(spec, logits, np.log(np.full(3, 1 / 3)), "uniform")
    balanced = np.array([4, 1, 9]) / prior
    np.testing.assert_allclose(even, [balanced / balanced.sum()], rtol=1e-6)


def test_a_bundle_whose_training_prior_nobody_knows_takes_no_other(tmp_path: Path) -> None:
    folder = image_bundle(tmp_path / "made", priors={})
    bundle = load_bundle(folder)
    assert bundle.prior_name == AS_TRAINED
    told = bundle.describe()
    assert (told["prior"], told["prior_shares"]) == (AS_TRAINED, None)
    expected = expected_outputs(brightness_of(90))[0]
    np.testing.assert_allclose(bundle.predict_crops([flat_crop(90)])[0], expected, atol=1e-6)
    for prior in ("uniform", "training", dict.fromkeys(EMOTIONS, 1.0)):
        with pytest.raises(UsageError, match="expected no prior for the bundle made"):
            load_bundle(folder, prior=prior)


def test_a_share_of_zero_may_be_given_to_what_the_bundle_does_not_know(tmp_path: Path) -> None:
    some = EMOTIONS[:3]
    folder = image_bundle(
        tmp_path / "made",
        labels=some,
        expression_outputs=(dataclasses.replace(PLAIN, labels=some),),
        priors={"training": (1, 1, 1)},
    )
    shares = {name: float(name in some) for name in EMOTIONS}
    np.testing.assert_allclose(load_bundle(folder, prior=shares).prior, 1 / 3)
    with pytest.raises(UsageError, match="unknown: fear"):
        load_bundle(folder, prior={**shares, "fear": 0.1})


# --- other outputs -------------------------------------------------------------------------------


def test_other_outputs_are_told_beside_the_expressions(tmp_path: Path) -> None:
    kinds: tuple[OutputKind, ...] = ("multi_label", "categorical", "continuous")
    others = tuple(dataclasses.replace(UNITS, name=kind, kind=kind) for kind in kinds)
    folder = image_bundle(
        tmp_path / "made",
        other_outputs=others,
        valence_arousal_output=None,
        valence_arousal_start=None,
    )
    bundle = load_bundle(folder)
    said = bundle.predict([flat_crop(90), flat_crop(200)])
    values = WEIGHTS[0, 8:] * np.array([[brightness_of(90)], [brightness_of(200)]])
    np.testing.assert_allclose(said.others["continuous"], values, rtol=1e-5)
    np.testing.assert_allclose(said.others["multi_label"], 1 / (1 + np.exp(-values)), rtol=1e-5)
    shares = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said.others["categorical"], shares, rtol=1e-5)
    assert said.valence_arousal is None
    assert bundle.predict([]).others["multi_label"].shape == (0, 2)


def test_a_bundle_may_predict_no_expressions_but_no_table_is_made_of_it(tmp_path: Path) -> None:
    folder = window_bundle(tmp_path / "made", labels=(), expression_outputs=(), priors={})
    bundle = load_bundle(folder)
    said = TrackPredictor(bundle).step([flat_crop(90)], [1], 0.0)
    assert said.probabilities.shape == (1, 0)
    assert said.valence_arousal is not None
    assert said.valence_arousal.shape == (1, 2)
    with pytest.raises(BundleError, match=r"made predicts no expressions; use it from Python"):
        ExpressionColumns(bundle.spec)


# --- labels that are not the eight ---------------------------------------------------------------


def spec_with(*labels: str) -> Any:
    output = dataclasses.replace(PLAIN, labels=labels)
    return make_spec(None, labels=labels, expression_outputs=(output,), priors={})


def test_the_eight_in_their_order_pass_untouched() -> None:
    columns = ExpressionColumns(make_spec(None))
    probabilities = np.random.default_rng(0).dirichlet(np.ones(8), 3).astype(np.float32)
    assert columns.arrange(probabilities) is probabilities
    assert columns.notices == ()


def test_other_names_and_orders_find_their_columns() -> None:
    columns = ExpressionColumns(spec_with("Surprise", "calm", "happy", "neutral"))
    arranged = columns.arrange(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))
    expected = dict.fromkeys(EMOTIONS, 0.0) | {"surprise": 0.1, "happiness": 0.3, "neutral": 0.6}
    np.testing.assert_allclose(arranged[0], list(expected.values()), rtol=1e-6)
    moved, unknown = columns.notices
    assert "calm counts as neutral, happy counts as happiness" in moved
    assert "does not know anger, contempt, disgust, fear, sadness: 0 everywhere" in unknown


def test_labels_that_no_column_stands_for_are_refused() -> None:
    with pytest.raises(BundleError, match="made has other, which no column stands for"):
        ExpressionColumns(spec_with("happiness", "other"))


def test_derived_values_come_from_the_arranged_probabilities() -> None:
    columns = ExpressionColumns(spec_with("happy", "sad"))

    said = CropPredictions(
        probabilities=np.array([[1.0, 0.0]], np.float32),
        face_probabilities=None,
        valence_arousal=None,
    )
    (made,) = columns.predictions(said)
    assert made.emotion == "happiness"
    assert made.valence == pytest.approx(0.81)
    assert made.valence_arousal_source is ValenceArousalSource.DERIVED
