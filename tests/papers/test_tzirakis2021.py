"""tzirakis2021: its plan, the paper's numbers in it, its page, and all of it run small."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch

from emotrace.cli.app import main
from emotrace.errors import DownloadError
from emotrace.models.zoo import find_architecture
from emotrace.papers import weights
from emotrace.papers.catalogue import find_paper
from emotrace.papers.html import html_page
from emotrace.papers.markdown import markdown_page
from emotrace.papers.pages import page_facts, write_pages
from emotrace.papers.plan import SCALES, Training, check_plan
from emotrace.papers.report import Missing, Score, Table, Theirs
from emotrace.papers.reproduce import reproduce
from emotrace.papers.tzirakis2021.paper import TZIRAKIS2021, plan
from emotrace.papers.tzirakis2021.recipes import (
    COUNTS,
    IMAGENET,
    OTHER_MODEL,
    PRETRAINED,
    REALEYES,
    RECOLA,
    RESAMPLED,
    SIZES,
    STARTS,
    run_keys,
)
from emotrace.papers.tzirakis2021.report import write_report
from emotrace.papers.workshop import Order, Results, StepResult
from emotrace.synth.layouts import write_layout
from emotrace.synth.plans import SetSettings, plan_set
from emotrace.training.clip_augmentation import AUGMENTATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.papers.plan import ScaleName
    from emotrace.papers.report import Cell, Report


def steps(scale: ScaleName) -> dict[str, Any]:
    return {step.key: step for step in plan(scale)}


def results(folder: Path, scale: ScaleName = "smoke", **facts: dict[str, Any]) -> Results:
    """Results in which only the given steps are done; `__` stands for a slash, `_` for a dash."""
    order = Order(paper=TZIRAKIS2021, scale=scale, out=folder, synthetic=True)
    keys = {key: key.replace("__", "/").replace("_", "-") for key in facts}
    found = {
        keys[key]: StepResult(key=keys[key], outcome="done", facts=own, origin="synthetic")
        for key, own in facts.items()
    }
    return Results(found, folder=folder, order=order)


def tables(report: Report) -> dict[str, Table]:
    items = [item for section in report.sections for item in section.items]
    return {item.title: item for item in items if isinstance(item, Table)}


@pytest.mark.parametrize("scale", SCALES)
def test_the_plan_can_be_done_in_its_order(scale: ScaleName) -> None:
    made = find_paper("tzirakis2021").plan(scale)
    check_plan(made)
    keys = {step.key for step in made}
    assert {REALEYES, RECOLA, COUNTS, RESAMPLED, IMAGENET, PRETRAINED, OTHER_MODEL} <= keys
    assert {f"recola/{start}" for start in STARTS} <= keys
    assert len([key for key in keys if key.startswith("comparison/ours-")]) == 3
    for dataset in TZIRAKIS2021.datasets:
        assert dataset.synthetic_sets(scale)


def test_full_has_the_papers_numbers() -> None:
    found = steps("full")
    for start in STARTS:
        tuned = found[f"recola/{start}"].recipe
        assert (tuned.epochs, tuned.stopping.patience, tuned.batch_size) == (300, 20, 2)
        assert (tuned.optimiser.optimiser, tuned.optimiser.learning_rate) == ("adam", 4e-5)
        assert (tuned.optimiser.schedule, tuned.optimiser.weight_decay) == ("constant", 0.0)
        assert (tuned.windows.steps, tuned.windows.stride) == (150, 150)
        assert tuned.losses.continuous_loss == "ccc"
        assert tuned.augmentation == AUGMENTATIONS["none"]
        options = tuned.options
        assert (options.backbone, options.input_size_px, options.layers) == ("resnet50", 150, 2)
        assert options.heads == ("valence_arousal",)
    learned = found[PRETRAINED].recipe
    assert learned.options.heads == ("emotions",)
    assert learned.augmentation == AUGMENTATIONS["tzirakis2021"]
    assert (learned.sampling.sampling, learned.sampling.oversampling_window) == ("oversample", 150)
    assert learned.losses.sample_weighting == "reciprocal"
    assert (learned.data.protocol, learned.data.validation_share) == ("holdout", 0.2)
    assert dict(found[REALEYES].options) == {"votes": "winner-takes-all"}
    assert found[IMAGENET].backbone == "resnet50"
    row = find_architecture("tzirakis2021")
    assert row.options().backbone == "resnet50"


def test_the_starts_differ_in_nothing_but_the_start() -> None:
    found = steps("full")
    recipes = [replace(found[f"recola/{start}"].recipe, start=None) for start in STARTS]
    assert all(recipe == recipes[0] for recipe in recipes)
    assert [found[f"recola/{start}"].start for start in STARTS] == list(STARTS.values())
    seeds = [found[key].recipe.seed for key in run_keys("ours", SIZES["full"])]
    assert seeds == [0, 1, 2]


def test_a_page_without_any_step_says_why_nothing_is_there(tmp_path: Path) -> None:
    order = Order(paper=TZIRAKIS2021, scale="full", out=tmp_path, synthetic=False)
    found = {key: StepResult(key=key, outcome="skipped", reason="no data") for key in steps("full")}
    empty = Results(found, folder=tmp_path, order=order)
    for nothing in (empty, results(tmp_path)):
        report = write_report(nothing)
        cells: list[Cell] = [c for t in tables(report).values() for row in t.rows for c in row]
        assert not [cell for cell in cells if isinstance(cell, Score)]
        assert {claim.verdict for claim in report.claims} == {"not run"}
        assert report.learned == ()
        texts = [cell.text for cell in cells if isinstance(cell, Theirs)]
        for theirs in (".538 (.596)", ".273 (-)", "1,059,505", "298,222", "43,492", "4,973"):
            assert theirs in texts
        facts = page_facts(TZIRAKIS2021, nothing)
        assert "Table 5" in html_page(report, facts, figures_in=tmp_path, has_runs=True)
        assert "Table 5" in markdown_page(report, facts, figure_folder="", has_runs=True)
    page = write_pages(TZIRAKIS2021, empty)[0].read_text("utf-8")
    assert "title='no data'" in page
    assert "--data imagenet=ROOT" in page


@pytest.mark.parametrize(
    ("random", "verdict"),
    [((9, 10, 11), "holds"), ((4, 5, 6), "undecided"), ((2, 2, 2), "does not hold")],
)
def test_how_soon_is_judged_by_the_interval_over_runs(
    tmp_path: Path, random: tuple[int, ...], verdict: str
) -> None:
    ours = (2, 2, 2) if verdict != "undecided" else (1, 2, 3)
    facts = {
        key.replace("/", "__").replace("-", "_"): {"best_epoch": epoch}
        for start, epochs in (("ours", ours), ("random", random))
        for key, epoch in zip(run_keys(start, SIZES["small"]), epochs, strict=True)
    }
    empty: dict[str, Any] = {"scores": {}}
    found = results(tmp_path, "small", **{key: {**empty, **own} for key, own in facts.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emotrace.papers.tzirakis2021.claims.STARTS", {})
        from emotrace.papers.tzirakis2021.claims import judge_claims, ratio_cell

        claim = next(one for one in judge_claims(found) if "almost 3" in one.theirs)
    assert claim.verdict == verdict
    cell = ratio_cell(found, "random")
    assert isinstance(cell, Score)
    assert cell.value == pytest.approx(sum(random) / sum(ours))
    assert cell.n == 6


def test_one_run_of_each_start_decides_nothing(tmp_path: Path) -> None:
    from emotrace.papers.tzirakis2021.claims import best_epochs, ratio_cell

    found = results(tmp_path, recola__ours={"best_epoch": 2}, recola__random={"best_epoch": 8})
    cell = ratio_cell(found, "random")
    assert isinstance(cell, Score)
    assert (cell.value, cell.low, cell.high) == (4.0, None, None)
    assert isinstance(best_epochs(found, "imagenet"), Missing)


def test_starts_are_also_asked_for_the_same_goal(tmp_path: Path) -> None:
    from emotrace.papers.tzirakis2021.claims import reach_cell

    for start, curve in (("random", (0.1, 0.3, 0.2)), ("ours", (0.2, 0.29, 0.3))):
        run = tmp_path / "runs" / "recola" / start
        run.mkdir(parents=True)
        lines = [f"{epoch},-1,{value}" for epoch, value in enumerate(curve)]
        text = "\n".join(["epoch,batch,valence_arousal_ccc", *lines])
        (run / "validation_curve.csv").write_text(text)
    facts: dict[str, Any] = {"best_epoch": 1}
    found = results(tmp_path, recola__ours=facts, recola__random=facts)
    cells = [reach_cell(found, start) for start in ("random", "ours", "imagenet")]
    assert [cell.value for cell in cells if isinstance(cell, Score)] == [2.0, 3.0]
    assert isinstance(cells[2], Missing)


# --- all of it -----------------------------------------------------------------------------------


def times(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for part in ("results", "runs", "caches", "data", "weights")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_all_of_it_runs_and_is_not_repeated(tmp_path: Path) -> None:
    network = timm.create_model(SIZES["smoke"].backbone, num_classes=0)
    file = tmp_path / "imagenet.pt"
    torch.save(network.state_dict(), file)
    out = tmp_path / "out"
    words = f"reproduce tzirakis2021 --synthetic --scale smoke --threads 1 --quiet -o {out}".split()
    words += ["--data", f"imagenet={file}"]
    assert main(words) == 0
    record = json.loads((out / "report.json").read_text("utf-8"))
    assert {step["outcome"] for step in record["steps"]} == {"done"}
    assert [one["used"] for one in record["datasets"]] == ["drawn", "drawn", "drawn", "given"]
    page = (out / "report.html").read_text("utf-8")
    ours = re.findall(r"<td class='ours'[^>]*>(<a .*?)</td>", page)
    assert len(ours) > 60
    assert all("<span class='mark'>synthetic</span>" in cell for cell in ours)
    links = set(re.findall(r"<a href='(runs/[^']*)'>", page))
    assert {f"runs/recola/{start}/" for start in STARTS} <= links
    assert all((out / link / "run.json").is_file() for link in links)
    for anchor in set(re.findall(r"<a href='#([^']*)'>", page)):
        assert f"id='{anchor}'" in page
    resampled = json.loads((out / "results" / f"{RESAMPLED}.json").read_text("utf-8"))["facts"]
    before, after = resampled["train_before"], resampled["train_after"]
    assert after["neutral"] == before["neutral"]
    assert all(after[name] > count for name, count in before.items() if name != "neutral")
    assert resampled["sequences_drawn"] > resampled["sequences"]
    begun = json.loads((out / "results" / "recola" / "imagenet.json").read_text("utf-8"))["facts"]
    assert begun["started_from"] == IMAGENET
    assert "took 90 of 90 tensors" in begun["notices"][0]
    kept = times(out)
    assert main(words) == 0
    assert times(out) == kept


def rate_by_three(root: Path) -> None:
    """Make three annotators of a drawn manifest's one; the third always says fear."""
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = ("media", "clip", "subject", "frame_rate", "frame", "emotion", "valence", "arousal")
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*kept, "annotator"), extrasaction="ignore")
        writer.writeheader()
        for row in (row for row in rows if row["frame"]):
            for who, emotion in (("a", row["emotion"]), ("b", row["emotion"]), ("c", "fear")):
                writer.writerow({**row, "annotator": who, "emotion": emotion})


@pytest.mark.slow
def test_a_manifest_takes_the_place_of_any_data_and_lost_weights_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr(weights, "create_backbone", refuse)
    root = tmp_path / "mine"
    clips = plan_set(SetSettings(clips=24, seconds=0.8, width=160, height=120), layout="manifest")
    write_layout("manifest", clips, root)
    rate_by_three(root)
    wanted = (
        REALEYES,
        COUNTS,
        RESAMPLED,
        RECOLA,
        IMAGENET,
        PRETRAINED,
        "recola/random",
        "recola/imagenet",
    )
    paper = replace(
        TZIRAKIS2021, plan=lambda scale: tuple(one for one in plan(scale) if one.key in wanted)
    )
    order = Order(
        paper=paper, scale="smoke", out=tmp_path / "out", data={"realeyes": root, "recola": root}
    )
    done = reproduce(order)
    assert not done.failed
    assert {one.key for one in done.skipped} == {IMAGENET, "recola/imagenet"}
    assert "could not be downloaded" in done.results["recola/imagenet"].reason
    counts = done.results[COUNTS]
    assert counts.origin == "real"
    assert (counts.facts["annotators"], counts.facts["subjects"]) == (3, 3)
    drawn = counts.facts["emotions"]
    assert drawn["fear"] < drawn["neutral"]  # two of three win
    resampled = done.results[RESAMPLED].facts
    learned = resampled["train_before"], resampled["validation"]
    assert sum(count for side in learned for count in side.values()) <= counts.facts["frames"]
    assert done.results[PRETRAINED].facts["started_from"] == "fresh weights"
    split = done.results["recola/random"].facts["scores"]["test"]["split"]
    assert split.startswith("60:20:20 by subject")
    assert "synthetic</span>" not in done.pages[0].read_text("utf-8")
    assert isinstance(steps("smoke")[PRETRAINED], Training)
