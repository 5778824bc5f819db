"""Bundles of the zoo's networks: what is written, and that nothing wrong is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emotrace.bundle import load_bundle
from emotrace.bundle_memory import RecurrentSpec, StateSpec, WindowSpec
from emotrace.bundle_spec import CARD_FILE, MODEL_FILE, SPEC_FILE
from emotrace.errors import OutputError, TrainingError, UsageError
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.models.architecture import State
from emotrace.models.onnx_export import export_onnx
from emotrace.models.rangulov2020_joint import RANGULOV2020_CNN_GRU3, Joint
from emotrace.models.rangulov2020_multitask import RANGULOV2020_MULTITASK
from emotrace.models.salinas2018_early_fusion import SALINAS2018_EARLY_FUSION
from emotrace.models.zoo import find_architecture
from emotrace.training.zoo import export as zoo_export
from emotrace.training.zoo.export import BundleFacts, export_zoo_bundle
from tests.conftest import REPOSITORY
from tests.models.small_options import build_small, small_options

if TYPE_CHECKING:
    from emotrace.bundle import Bundle
    from emotrace.models.architecture import Architecture

UNITS = tuple(f"au_{at:02d}" for at in range(12))
SHARES = {name: float(at + 1) for at, name in enumerate(EMOTIONS)}
FACTS = BundleFacts(
    name="made",
    labels={"expression": EMOTIONS},
    crop=CropGeometry(size_px=32, align="eyes"),
    training_data="Drawn faces only.",
    licence="Apache-2.0",
)


def export(row: Architecture, folder: Path, facts: BundleFacts, **changes: Any) -> Bundle:
    network = build_small(row, **changes)
    made = export_zoo_bundle(network, row, small_options(row, **changes), folder, facts)
    assert made == folder
    return load_bundle(folder)


@pytest.fixture(scope="module")
def multitask(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A network for stills with all kinds of heads."""
    facts = dataclasses.replace(
        FACTS,
        labels={
            "expression": EMOTIONS,
            "action_units": UNITS,
            "valence_arousal": ("valence", "arousal"),
        },
        training_prior=SHARES,
        temperature=2.0,
        results={"test": {"accuracy": 0.5}},
    )
    folder = tmp_path_factory.mktemp("multitask") / "bundle"
    return export(RANGULOV2020_MULTITASK, folder, facts)


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    facts = dataclasses.replace(FACTS, frame_seconds=0.04)
    folder = tmp_path_factory.mktemp("recurrent") / "bundle"
    return export(RANGULOV2020_CNN_GRU3, folder, facts, head="expression")


def test_a_bundle_is_three_files_and_no_more(multitask: Bundle) -> None:
    names = sorted(path.name for path in multitask.folder.iterdir())
    assert names == [CARD_FILE, MODEL_FILE, SPEC_FILE]


def test_every_head_finds_its_columns(multitask: Bundle) -> None:
    spec = multitask.spec
    (expression,) = spec.expression_outputs
    assert (expression.output, expression.start) == ("outputs", 0)
    assert not expression.balanced
    (units,) = spec.other_outputs
    assert (units.name, units.kind, units.start, units.labels) == (
        "action_units",
        "multi_label",
        8,
        UNITS,
    )
    assert (spec.valence_arousal_output, spec.valence_arousal_start) == ("outputs", 20)
    assert (spec.temporal, spec.memory, spec.colour) == ("none", None, "grey")
    assert spec.crop == FACTS.crop


def test_the_network_says_what_the_bundle_says(multitask: Bundle) -> None:
    network = build_small(RANGULOV2020_MULTITASK).eval()
    crops = [np.random.default_rng(at).integers(0, 256, (40, 40, 3), np.uint8) for at in range(3)]
    with torch.inference_mode():
        outputs = network(torch.from_numpy(multitask.prepare(crops)))
    said = load_bundle(multitask.folder, prior="training").predict(crops)
    np.testing.assert_allclose(
        said.probabilities, torch.softmax(outputs[:, :8] / 2.0, dim=1), atol=1e-4
    )
    np.testing.assert_allclose(said.others["action_units"], outputs[:, 8:20].sigmoid(), atol=1e-4)
    assert said.valence_arousal is not None
    np.testing.assert_allclose(said.valence_arousal, outputs[:, 20:].clamp(-1, 1), atol=1e-4)


def test_the_training_prior_is_stated_and_can_be_taken_out(multitask: Bundle) -> None:
    assert multitask.spec.priors["training"] == pytest.approx([n / 36 for n in range(1, 9)])
    crops = [np.full((32, 32, 3), 90, np.uint8)]
    trained = load_bundle(multitask.folder, prior="training").predict_crops(crops)[0]
    even = load_bundle(multitask.folder, prior="uniform").predict_crops(crops)[0]
    balanced = trained / np.arange(1, 9)
    np.testing.assert_allclose(even, balanced / balanced.sum(), rtol=1e-4)


def test_the_card_tells_what_is_known(multitask: Bundle, recurrent: Bundle) -> None:
    card = multitask.card
    assert card.startswith("# made ")
    for said in (
        "`rangulov2020-multitask` (Rangulov and Fahim 2020",
        "grey crops of 32 x 32 pixels; in time: each frame by itself",
        f"- Predicts expressions: {', '.join(EMOTIONS)}.",
        "- Predicts action_units (multi-label): au_00,",
        "Drawn faces only.",
        "Licence: Apache-2.0",
        "anger 2.8%, contempt 5.6%",
        '"accuracy": 0.5',
    ):
        assert said in card
    assert "Nothing was measured on held-out data" in recurrent.card
    assert "no other prior can be applied" in recurrent.card
    assert "a state of 27 values for each face, a step every 40 ms" in recurrent.card


def test_states_are_named_with_their_shapes(recurrent: Bundle) -> None:
    assert recurrent.spec.memory == RecurrentSpec(
        states=tuple(
            StateSpec(name=f"state_{at}", output=f"state_{at}_out", shape=(width,))
            for at, width in enumerate((10, 9, 8))
        ),
        frame_seconds=0.04,
    )


def test_a_clip_network_becomes_a_window(tmp_path: Path) -> None:
    facts = dataclasses.replace(
        FACTS, labels={"expression": FER2013_EMOTIONS}, crop=CropGeometry(size_px=128), frame_step=4
    )
    bundle = export(SALINAS2018_EARLY_FUSION, tmp_path / "made", facts, classes=7, input_channels=3)
    assert bundle.spec.memory == WindowSpec(frames=3, frame_seconds=None, frame_step=4)
    assert bundle.spec.colour == "rgb"
    assert bundle.labels == FER2013_EMOTIONS


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": {}}, "expected 8 different labels for the head 'expression'; got none"),
        ({"labels": {"expression": EMOTIONS[:7]}}, "expected 8 different labels .* got anger"),
        ({"labels": {"expression": ("anger",) * 8}}, "expected 8 different labels"),
        (
            {"labels": {"expression": EMOTIONS, "action_units": UNITS}},
            "for the heads expression; got some for action_units",
        ),
        ({"balanced": True}, "expected the training prior of balanced logits"),
        ({"training_prior": {"anger": 1.0}}, "a share above 0 in the training prior for each of"),
        ({"training_prior": {**SHARES, "fear": 0.0}}, "a share above 0 .* leave it out"),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    facts = dataclasses.replace(FACTS, **changes)
    with pytest.raises(UsageError, match=told):
        export(RANGULOV2020_CNN_GRU3, tmp_path / "made", facts, head="expression")
    assert not (tmp_path / "made").exists()


def test_a_network_over_vectors_is_told_the_way(tmp_path: Path) -> None:
    row = find_architecture("rangulov2020-gru3")
    with pytest.raises(UsageError, match=r"takes vectors: .*join_extractor"):
        export(row, tmp_path / "made", FACTS, head="expression")


def test_pictures_of_two_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 \(grey\) or 3 \(colour\) channels; got 2"):
        export(RANGULOV2020_CNN_GRU3, tmp_path / "made", FACTS, head="expression", input_channels=2)


class BeginsElsewhere(Joint):
    def initial_state(self, batch: int) -> State:
        return tuple(state + 1 for state in super().initial_state(batch))


def test_a_state_that_does_not_begin_with_zeros_is_refused(tmp_path: Path) -> None:
    options = small_options(RANGULOV2020_CNN_GRU3, head="expression")
    with pytest.raises(TrainingError, match="to begin with a state of zeros"):
        export_zoo_bundle(
            BeginsElsewhere(options), RANGULOV2020_CNN_GRU3, options, tmp_path / "made", FACTS
        )


def test_a_bundle_that_says_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export of other weights than the network's: the old bundle stays as it was."""
    folder = tmp_path / "made"
    export(RANGULOV2020_MULTITASK, folder, multitask_facts())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def export_another(network: Any, row: Any, options: Any, path: Path) -> None:
        torch.manual_seed(7)
        export_onnx(row.build(options), row, options, path)

    monkeypatch.setattr(zoo_export, "export_onnx", export_another)
    with pytest.raises(
        TrainingError, match=r"expected the bundle made to equal its network to 0\."
    ):
        export(RANGULOV2020_MULTITASK, folder, multitask_facts())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def multitask_facts() -> BundleFacts:
    labels = {
        "expression": EMOTIONS,
        "action_units": UNITS,
        "valence_arousal": ("valence", "arousal"),
    }
    return dataclasses.replace(FACTS, labels=labels)


def test_a_full_disk_is_an_error_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zoo_export, "export_onnx", fail)
    with pytest.raises(OutputError, match=r"to write the bundle .*made; got: No space left"):
        export(RANGULOV2020_MULTITASK, tmp_path / "made", multitask_facts())
    assert list((tmp_path / "made").iterdir()) == []


def test_python_in_the_page_on_bundles_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "bundles.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, "bundles.md", "exec"), names)  # noqa: S102 -- our own page
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert names["whole"].outputs == 8
