"""From a tiny run to a bundle that loads, says what torch says, and states what it is."""

from __future__ import annotations

import dataclasses
import json
import pickletools
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from emotrace.bundle import Bundle, load_bundle
from emotrace.bundle_spec import CARD_FILE, MODEL_FILE, SPEC_FILE, read_spec
from emotrace.datasets.ferplus import load_ferplus, vote_shares
from emotrace.errors import DatasetError, TrainingError
from emotrace.labels import EMOTIONS
from emotrace.models.compact import CompactNet
from emotrace.models.compact_options import CompactNetOptions
from emotrace.training.calibration import PRIOR_POWERS, temper_prior
from emotrace.training.card import write_card
from emotrace.training.evaluation import evaluate_ferplus
from emotrace.training.export import _training_facts, export_run, measure_cost
from emotrace.training.face_head import FaceHeadFit
from emotrace.training.fit import fit, load_averaged_network
from emotrace.training.recipe_record import recipe_from_record
from emotrace.training.seeds import summarise_seeds, with_seeds
from tests.datasets.fake_ferplus import write_fake_ferplus
from tests.training.tiny import TINY_RECIPE


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("data"), validation=40, test=40)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    fit(TINY_RECIPE, data, folder, show_progress=False)
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    assert export_run(run, folder, name="tiny") == folder
    return folder


@pytest.fixture(scope="module")
def bundle(exported: Path) -> Bundle:
    return load_bundle(exported)


def test_the_bundle_loads_and_holds_its_three_files_only(exported: Path, bundle: Bundle) -> None:
    assert sorted(path.name for path in exported.iterdir()) == [CARD_FILE, MODEL_FILE, SPEC_FILE]
    assert bundle.name == "tiny"
    assert bundle.labels == EMOTIONS


def test_it_holds_no_pickle_and_the_weights_in_16_bits(exported: Path, run: Path) -> None:
    data = (exported / MODEL_FILE).read_bytes()
    with pytest.raises(ValueError, match="unknown"):
        list(pickletools.genops(data))
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    large = [t for t in model.graph.initializer if int(np.prod(t.dims)) >= 256]
    assert large
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    network = load_averaged_network(TINY_RECIPE, run / "checkpoints" / "last.ckpt")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert 2 * parameters < len(data) < 2 * parameters + 100_000  # the graph itself: about 40 kB


def test_the_bundle_says_what_torch_says(bundle: Bundle, run: Path, data: Path) -> None:
    """The whole way by hand: averaged weights, temperatures, prior, mixture, its temperature."""
    network = load_averaged_network(TINY_RECIPE, run / "checkpoints" / "last.ckpt")
    grey = load_ferplus(data, "test").images
    with torch.inference_mode():
        output = network(torch.from_numpy(grey[:, None].astype(np.float32) / 255))
    found = bundle.predict([np.dstack([image] * 3) for image in grey])
    assert found.face_probabilities is not None
    np.testing.assert_allclose(
        found.face_probabilities, torch.sigmoid(output.face_logit).numpy(), atol=2e-3
    )
    first, second = bundle.spec.expression_outputs
    log_prior = torch.tensor(bundle.spec.priors["default"]).log()
    a = torch.softmax(output.ferplus_logits / first.temperature + log_prior, dim=1)
    rest = [at for at, name in enumerate(EMOTIONS) if name != "contempt"]
    b = a.clone()
    b[:, rest] = torch.softmax(output.fer2013_logits / second.temperature + log_prior[rest], dim=1)
    b[:, rest] *= 1 - a[:, [EMOTIONS.index("contempt")]]
    expected = first.weights["default"] * a + second.weights["default"] * b
    expected = expected ** (1 / bundle.spec.temperatures["default"])
    expected = expected / expected.sum(dim=1, keepdim=True)
    np.testing.assert_allclose(found.probabilities, expected.numpy(), atol=2e-3)


def test_its_spec_states_priors_results_and_cost(
    bundle: Bundle, exported: Path, data: Path
) -> None:
    spec = bundle.spec
    shares = vote_shares(load_ferplus(data, "train").votes)
    training = shares.sum(axis=0) / shares.sum()
    np.testing.assert_allclose(spec.priors["training"], training, rtol=1e-5)
    sweep = spec.results["validation"]["prior_sweep"]
    assert [row["power"] for row in sweep] == list(PRIOR_POWERS)
    best = max(sweep, key=lambda row: row["accuracy"] + row["recall"])["power"]
    np.testing.assert_allclose(spec.priors["default"], temper_prior(training, best), rtol=1e-5)
    for name in ("training", "default", "uniform", "custom", "votes", "fer2013"):
        assert sum(output.weights[name] for output in spec.expression_outputs) == 1
        assert 0.3 <= spec.temperature_under(name) <= 3
    assert all(0.3 <= output.temperature <= 3 for output in spec.expression_outputs)
    tested = evaluate_ferplus(exported, data, robustness=True)
    assert spec.results["test"] == {
        name: value for name, value in tested.items() if name not in ("curves", "cost")
    }
    assert spec.results["cost"]["parameters"] > 0
    assert spec.training_data.endswith("(64 faces)")
    assert spec.uncertain_threshold == spec.results["validation"]["uncertain"]["threshold"]
    assert spec.face_threshold is None
    assert spec.crop.align == "eyes"
    trained = spec.results["training"]
    assert (trained["epochs"], trained["seed"]) == (2, 0)
    assert recipe_from_record(trained["recipe"]) == TINY_RECIPE
    assert json.loads((exported / SPEC_FILE).read_text())["format"] == 1


def test_its_card_states_the_measured_numbers(bundle: Bundle) -> None:
    card = bundle.card
    text = " ".join(card.split())
    scores = bundle.spec.results["test"]["priors"]
    assert card.startswith("# tiny ")
    assert f"{bundle.spec.results['cost']['parameters']:,} parameters" in card
    assert "2 epochs, seed 0" in text
    for prior in ("training", "default", "uniform"):
        score = scores[prior]["majority"]
        rows = [x for x in card.splitlines() if x.startswith("| FER+ majority |") and prior in x]
        cells = [cell.strip() for cell in rows[0].split("|")]
        assert f"{100 * score['accuracy']:.1f}" in cells
        assert f"{100 * score['unweighted_average_recall']:.1f}" in cells
    without = scores["training"]["majority"]["without_duplicates"]
    assert f"n = {without['n']}." in text
    assert bundle.spec.licence in text
    assert "what a person feels" in text  # that it is no readout of it
    assert "## Badly framed, lit or compressed faces" in card
    assert "## Another seed" not in card
    assert "## Is it a face at all?" not in card


def test_its_card_states_what_else_is_known(bundle: Bundle) -> None:
    spec, numbers = bundle.spec, {"threshold": 0.25, "n": 40, "faces_rejected": 0.025}
    results = {**spec.results, "test": {**spec.results["test"], "not_face": numbers}}
    origins = {"crops from drawn scenes": 1200}
    results["face_head"] = {
        "not_faces": 500.0,
        "not_faces_refused": 0.931,
        "learnt_from": origins,
    }
    kept = {"threshold": 0.61, "n": 40, "coverage": 0.7, "accuracy": 0.9}
    kept["accuracy_of_dropped"] = 0.5
    by_expression = {"fear": 0.4, "happiness": 0.9}
    results["validation"] = {
        **results["validation"],
        "uncertain": {**kept, "coverage": 0.75},
        "sure": {**kept, "threshold": 0.73, "coverage": 0.62},
    }
    results["test"]["uncertain"] = {
        "argmax": kept, "majority": kept, "kept_by_expression": by_expression
    }  # fmt: skip
    full = dataclasses.replace(spec, face_threshold=0.25, uncertain_threshold=0.61, results=results)
    text = " ".join(write_card(full).split())
    assert "Below a confidence of 0.61 a prediction counts as uncertain" in text
    assert "75.0 % of the faces were kept" in text
    assert (
        "keeps 70.0 % of all faces; 90.0 % of those are right, of the dropped ones 50.0 %" in text
    )
    assert "Of fear it keeps least: 40.0 %" in text
    assert "nine in ten right takes 0.73, which kept 62.0 % on validation" in text
    assert "face probability is below 0.250" in text
    assert "of the 40 test faces, 2.50 % fall below it" in text
    assert "Of 500 pictures without a face that took no part in the fit, 93.1 % do" in text
    assert "what is no face from 1,200 crops from drawn scenes; no face of any footage" in text
    assert "Taught by" not in text
    recipe = {**results["training"]["recipe"], "teachers": 2, "teacher_share": 0.6}
    training = {**results["training"], "recipe": recipe, "teachers": [{}, {}]}
    training["note"] = "Its first epochs were others."
    taught = dataclasses.replace(full, results={**results, "training": training})
    assert "60 % of each label. Its first epochs were others." in " ".join(
        write_card(taught).split()
    )
    said = "Taught by 2 other runs on the same pictures, whose answers made up 60 % of each"
    assert said in " ".join(write_card(taught).split())
    another = {**results, "training": {**results["training"], "seed": 1}}
    others = dataclasses.replace(full, results=another)
    with_spread = with_seeds(full, summarise_seeds([full, others]))
    assert "trained from 2 seeds" in " ".join(write_card(with_spread).split())


def test_a_run_that_differs_from_its_recipe_may_say_how(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    recipe = recipe_from_record(record["recipe"])
    assert "note" not in _training_facts(recipe, record)
    assert _training_facts(recipe, {**record, "note": "Stopped once."})["note"] == "Stopped once."


def test_a_face_head_can_be_fitted_again(run: Path, tmp_path: Path) -> None:
    """A head that calls bright pictures faces, whatever the others say."""
    seen: list[nn.Module] = []

    def refit(network: CompactNet) -> FaceHeadFit:
        seen.append(network)
        width = network.face_head.in_channels
        weight = np.zeros(width, np.float32)
        return FaceHeadFit(
            weight=weight,
            bias=-2.0,
            threshold=0.125,
            held_out={"faces": 24.0},
            learnt_from={"crops from drawn scenes": 1200},
        )

    folder = export_run(run, tmp_path / "bundle", refit_face_head=refit, align="none")
    bundle = load_bundle(folder)
    assert isinstance(seen[0], CompactNet)
    assert not seen[0].training
    assert (bundle.spec.face_threshold, bundle.spec.crop.align) == (0.125, "none")
    origins = {"crops from drawn scenes": 1200}
    assert bundle.spec.results["face_head"] == {"faces": 24.0, "learnt_from": origins}
    found = bundle.predict([np.full((48, 48, 3), 100, np.uint8)])
    assert found.face_probabilities is not None
    assert found.face_probabilities[0] == pytest.approx(1 / (1 + np.exp(2)), abs=1e-3)
    assert bundle.spec.results["test"]["not_face"]["faces_rejected"] == 1


def test_data_elsewhere_can_be_named(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected ferplus\.parquet"):
        export_run(run, tmp_path / "bundle", data_root=tmp_path)
    assert not (tmp_path / "bundle" / SPEC_FILE).exists()


def test_a_run_that_is_not_finished_is_refused(run: Path, tmp_path: Path) -> None:
    longer = tmp_path / "run"
    shutil.copytree(run, longer)
    record = json.loads((longer / "run.json").read_text())
    record["recipe"]["epochs"] = 3
    (longer / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"a finished run of 3 epochs in .*; it has done 2; go"):
        export_run(longer, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("content", [None, "{"])
def test_a_run_without_its_record_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(TrainingError, match=r"expected run\.json in"):
        export_run(tmp_path, tmp_path / "bundle")


def test_the_cost_is_counted_by_hand() -> None:
    options = CompactNetOptions(stem_width=4, widths=(8,), blocks=(1,), squeeze_ratio=8)
    cost = measure_cost(CompactNet(options).eval(), options)
    side, half = 48 * 48, 24 * 24
    stem = side * 4 * 9
    block = half * 8 * 4 * 9 + half * 8 * 8 * 9 + half * 8 * 4  # two 3 x 3 and the shortcut
    squeeze = 8 * 8 + 8 * 8
    heads = 8 * (8 + 7 + 1)
    assert cost.multiply_adds == stem + block + squeeze + heads
    assert cost.parameters == sum(p.numel() for p in CompactNet(options).parameters())


def test_the_default_networks_cost_is_what_its_bundle_states() -> None:
    cost = measure_cost(CompactNet().eval(), CompactNetOptions())
    stated = read_spec(load_bundle().folder).results["cost"]
    assert dataclasses.asdict(cost) == stated
