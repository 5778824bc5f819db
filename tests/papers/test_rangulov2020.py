"""rangulov2020's plan, page and measures; all of it once, at the smallest scale."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotrace.cli.app import main
from emotrace.models.zoo import find_architecture
from emotrace.papers.html import html_page
from emotrace.papers.markdown import markdown_page
from emotrace.papers.pages import page_facts
from emotrace.papers.plan import SCALES, Preparation, Training, check_plan
from emotrace.papers.rangulov2020 import measures
from emotrace.papers.rangulov2020.measures import Column, compare_columns
from emotrace.papers.rangulov2020.paper import RANGULOV2020, plan
from emotrace.papers.report import Missing, Score, Table
from emotrace.papers.workshop import Order, Results
from emotrace.synth.layouts import write_layout
from emotrace.synth.plans import SetSettings, plan_set

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.papers.plan import ScaleName


def steps_of(scale: ScaleName) -> dict[str, Any]:
    return {step.key: step for step in plan(scale)}


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_has_the_same_steps_in_an_order_that_works(scale: ScaleName) -> None:
    check_plan(plan(scale))
    assert list(steps_of(scale)) == list(steps_of("full"))
    assert set(RANGULOV2020.scales) == set(SCALES)
    # Another definition in the same code gives the same fingerprint.
    assert [step.definition() for step in plan(scale)] == [s.definition() for s in plan(scale)]


def test_full_has_the_settings_of_the_paper() -> None:
    steps = steps_of("full")
    for key, batch in (
        (measures.STILLS, 64),
        (measures.WHOLE, 64),
        (measures.SUBSET, 64),
        (measures.GRU3, 128),
    ):
        step = steps[key]
        assert isinstance(step, Training)
        recipe = step.recipe
        assert (recipe.epochs, recipe.batch_size) == (100, batch)
        assert recipe.stopping.patience > 0
        optimiser = recipe.optimiser
        assert (optimiser.optimiser, optimiser.learning_rate) == ("sgd", 0.01)
        assert (optimiser.momentum, optimiser.weight_decay) == (0.9, 1e-5)
        assert optimiser.schedule == "constant"
    cnn = steps[measures.WHOLE].recipe.options
    assert (cnn.input_size_px, cnn.filters, cnn.dense_width) == (96, (64, 128, 256), 300)
    assert (cnn.dropout, cnn.quadrant_pooling) == (0.5, "average")
    assert steps[measures.STILLS].recipe.options.classes == 8
    assert steps[measures.STILLS].recipe.augmentation.does_nothing
    assert not steps[measures.WHOLE].recipe.augmentation.does_nothing
    windows = steps[measures.GRU3].recipe.windows
    assert (windows.steps, windows.stride, windows.target_offset) == (100, 1, 1)
    assert (windows.step_targets, windows.labelled_inputs) == ("last", True)


def test_the_three_layers_have_the_parameters_that_the_paper_has() -> None:
    recipe = steps_of("full")[measures.GRU3].recipe
    network = find_architecture(recipe.architecture).build(recipe.options)
    trained = sum(value.numel() for value in network.parameters() if value.requires_grad)
    assert trained == 204_102


def test_outputs_losses_and_subsets_differ_in_that_alone() -> None:
    steps = steps_of("full")
    whole = steps[measures.WHOLE].recipe
    assert whole.losses.continuous_loss == "ccc"
    assert whole.sampling.density == "none"
    assert steps[measures.WHOLE_MSE].recipe.losses.continuous_loss == "mse"
    assert steps[measures.SUBSET].recipe.sampling.density == "midpoint"
    heads = [steps[key].recipe.options.head for key in measures.FRAME_RUNS]
    assert heads.count("valence_arousal") == 3
    assert {"valence", "arousal"} < set(heads)


def test_faces_are_found_as_in_the_paper() -> None:
    steps = steps_of("full")
    for key, detector in (
        (measures.CKPLUS_FACES, "haar"),
        (measures.JAFFE_FACES, "haar"),
        (measures.AFFWILD2_FACES, "none"),
    ):
        step = steps[key]
        assert isinstance(step, Preparation)
        cropping = step.settings.cropping
        assert (cropping.detector, cropping.color, cropping.crop.size_px) == (detector, "grey", 96)
    # Aff-Wild2 hands out face crops; videos of one's own have to be searched.
    assert steps[measures.AFFWILD2_FACES].manifest_detector == "auto"


def test_a_page_of_nothing_says_so_in_every_cell(tmp_path: Path) -> None:
    order = Order(paper=RANGULOV2020, scale="full", out=tmp_path)
    results = Results({}, folder=tmp_path, order=order)
    report = RANGULOV2020.report(results)
    tables = [item for section in report.sections for item in section.items]
    cells = [
        cell for item in tables if isinstance(item, Table) for row in item.rows for cell in row
    ]
    assert any(isinstance(cell, Missing) for cell in cells)
    assert not any(isinstance(cell, Score) for cell in cells)
    assert {claim.verdict for claim in report.claims} == {"not run"}
    assert not report.learned
    facts = page_facts(RANGULOV2020, results)
    page = html_page(report, facts, figures_in=tmp_path, has_runs=True)
    text = markdown_page(report, facts, figure_folder="figures/", has_runs=True)
    for said in (page, text):
        assert "1,620,421" in said
        assert "not run" in said
        assert "request it from the organisers" in said


# --- measures ------------------------------------------------------------------------------------


def column(said: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], videos: int) -> Column:
    count = len(truth)
    return Column(
        rows=np.arange(count),
        truth=truth.astype(np.float32),
        said=said.astype(np.float32),
        videos=np.array([f"v{at % videos}" for at in range(count)]),
    )


def test_a_perfect_network_is_better_than_a_constant_one_by_all_of_the_ccc() -> None:
    truth = np.random.default_rng(0).uniform(-1, 1, 80)
    perfect, constant = column(truth, truth, 8), column(np.zeros(80), truth, 8)
    found = compare_columns((perfect, perfect), (constant, perfect))
    assert (found["n"], found["videos"]) == (80, 8)
    assert found["ccc"]["valence"]["difference"] == pytest.approx(1.0)
    assert found["ccc"]["arousal"]["difference"] == pytest.approx(0.0)
    assert found["ccc"]["mean"]["difference"] == pytest.approx(0.5)
    assert found["ccc"]["mean"]["interval_95"] == pytest.approx([0.5, 0.5])
    error = float(np.sqrt((truth.astype(np.float32) ** 2).mean()))
    assert found["rmse"]["valence"]["difference"] == pytest.approx(-error, abs=1e-5)


def test_networks_are_compared_on_the_frames_of_both_and_one_video_has_no_interval() -> None:
    truth = np.linspace(-1, 1, 20)
    whole = column(truth, truth, 1)
    part = Column(
        rows=whole.rows[5:], truth=whole.truth[5:], said=whole.said[5:], videos=whole.videos[5:]
    )
    found = compare_columns((whole, whole), (part, whole))
    assert (found["n"], found["videos"]) == (15, 1)
    assert found["ccc"]["mean"]["interval_95"] is None
    assert found["ccc"]["mean"]["difference"] == 0.0


# --- all of it -----------------------------------------------------------------------------------


def result_files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted((out / "results").rglob("*.json"))
    }


def facts_of(out: Path, key: str) -> Any:
    record = json.loads((out / "results" / f"{key}.json").read_text("utf-8"))
    assert record["outcome"] == "done", record["reason"]
    return record["facts"]


@pytest.mark.slow
def test_everything_runs_on_drawn_faces_and_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["reproduce", "rangulov2020", "--synthetic", "--scale", "smoke", "-o", str(out)]
    words += ["--threads", "1", "--quiet"]
    assert main(words) == 0
    before = result_files(out)
    assert set(before) == {f"results/{key}.json" for key in steps_of("smoke")}
    for key in steps_of("smoke"):
        facts_of(out, key)

    page = (out / "report.html").read_text("utf-8")
    assert "class='mark'>synthetic" in page
    for key in (measures.STILLS, measures.SUBSET, measures.GRU3):
        assert f"href='runs/{key}/'" in page
        assert (out / "runs" / key / "run.json").is_file()
    report = json.loads((out / "report.json").read_text("utf-8"))
    scores = [
        cell
        for section in report["sections"]
        for item in section["items"]
        if item["kind"] == "table"
        for row in item["rows"]
        for cell in row
        if isinstance(cell, dict) and cell["kind"] == "score"
    ]
    assert len(scores) > 80
    assert {cell["origin"] for cell in scores} == {"synthetic"}
    assert all(cell["n"] > 0 and cell["protocol"] for cell in scores)
    assert len(report["claims"]) == 10

    # The third subset is the one that the run learned from.
    kept = facts_of(out, "subsets")["kept"]
    assert facts_of(out, measures.SUBSET)["examples"]["train"] == kept["subset 3"]
    assert kept["subset 2"] <= kept["subset 3"] <= kept["subset 1"]

    assert main(words) == 0
    assert result_files(out) == before
    capsys.readouterr()


def draw_peaks_alone(root: Path) -> None:
    """Draw CK+ as it is handed on in parts: three peak pictures of each sequence, no neutral one.

    The set has no sequences that show neutral: these lose their label.
    """
    settings = SetSettings(clips=32, subjects=4, seconds=0.24, width=160, height=160)
    for _ in write_layout("ckplus", plan_set(settings, layout="ckplus"), root):
        pass
    for sequence in (root / "cohn-kanade-images").glob("*/*"):
        for picture in sorted(sequence.glob("*.png"))[:-3]:
            picture.unlink()
    for label in (root / "Emotion").rglob("*_emotion.txt"):
        if float(label.read_text("utf-8")) == 0:
            label.unlink()


def draw_manifest(root: Path) -> Path:
    """Draw pictures that a user labelled in a table."""
    settings = SetSettings(clips=14, subjects=2, width=160, height=160)
    written = [*write_layout("jaffe", plan_set(settings, layout="jaffe"), root)]
    names = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness"}
    names |= {"NE": "neutral", "SA": "sadness", "SU": "surprise"}
    pictures = sorted(root.rglob("*.tiff"))
    assert len(pictures) == len(written)
    path = root / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["media", "subject", "emotion"])
        for picture in pictures:
            person, code, *_ = picture.name.split(".")
            table.writerow([picture.relative_to(root), person, names[code[:2]]])
    return path


@pytest.mark.slow
def test_three_picture_sequences_and_a_manifest_go_through_the_still_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_peaks_alone(tmp_path / "peaks")
    table = draw_manifest(tmp_path / "mine")
    out = tmp_path / "out"
    words = ["reproduce", "rangulov2020", "--scale", "smoke", "-o", str(out)]
    words += ["--data", f"ckplus={tmp_path / 'peaks'}", f"jaffe={table}"]
    assert main([*words, "--threads", "1", "--quiet"]) == 0

    counts = facts_of(out, "counts/ckplus")
    assert (counts["clips_read"], counts["clips"]) == (32, 28)
    assert counts["clips_without_neutral_picture"] == 28
    assert counts["clips_of_fewer_than_four_pictures"] == 28
    assert counts["by_class"]["neutral"] == 0
    assert counts["pictures"] == sum(counts["by_class"].values()) == 84
    assert facts_of(out, "counts/sides")["by_class"]["train"]["neutral"] == 0
    assert facts_of(out, "stills/jaffe")["scores"]["jaffe"]["heads"]["expression"]["n"] == 14

    text = (out / "report.md").read_text("utf-8")
    # Its pictures are given here, so to the page they are real.
    assert "synthetic" not in text.partition("## Data")[0]
    assert "28 sequences have no neutral picture" in text
    assert "28 sequences have fewer than the four pictures of the paper" in text
    assert "No picture shows neutral" in text
    assert "4 sequences are left out because they have no label" in text
    # What Aff-Wild2 is needed for is left out, and the page says how to get it.
    assert "request it from the organisers" in text
    assert not (out / "runs" / measures.WHOLE).exists()
    capsys.readouterr()
