"""abdullah2020: its plan, the paper's numbers in it, its page, and all of it run small."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.cli.app import main
from emotrace.datasets.ravdess import read_ravdess
from emotrace.datasets.shards import MANIFEST_FILE
from emotrace.papers.abdullah2020.keys import (
    ANSWERS_ACTORS,
    ANSWERS_RANDOM,
    FACES,
    FER2013_CLAIM,
    LEAK,
    LSTM_ACTORS,
    LSTM_RANDOM,
    SINGLE_ACTORS,
    SINGLE_RANDOM,
    STILLS,
    TIME_ACTORS,
    XCEPTION,
)
from emotrace.papers.abdullah2020.paper import ABDULLAH2020, CLASSES, plan
from emotrace.papers.abdullah2020.scales import SCALES
from emotrace.papers.catalogue import find_paper
from emotrace.papers.pages import write_pages
from emotrace.papers.plan import CrossValidation, Preparation, Training, check_plan
from emotrace.papers.report import Missing, Score, Table
from emotrace.papers.workshop import Order, Results, StepResult
from emotrace.synth.layouts import write_layout
from emotrace.synth.plans import SetSettings, plan_set

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.papers.plan import ScaleName, Step
    from emotrace.papers.report import Origin


def steps(scale: ScaleName) -> dict[str, Any]:
    return {step.key: step for step in plan(scale)}


def results(folder: Path, **found: StepResult) -> Results:
    order = Order(paper=ABDULLAH2020, scale="smoke", out=folder, synthetic=True)
    return Results({step.key: step for step in found.values()}, folder=folder, order=order)


@pytest.mark.parametrize("scale", list(SCALES))
def test_the_plan_can_be_done_in_its_order(scale: ScaleName) -> None:
    made: tuple[Step, ...] = find_paper("abdullah2020").plan(scale)
    check_plan(made)
    assert {XCEPTION, *LSTM_RANDOM[:1], LSTM_ACTORS, SINGLE_ACTORS, LEAK} <= {
        step.key for step in made
    }
    for name in ("fer2013", "ravdess"):
        assert ABDULLAH2020.dataset(name).synthetic_sets(scale)


def test_full_has_the_papers_numbers() -> None:
    found = steps("full")
    xception, lstm = found[XCEPTION].recipe, found[LSTM_RANDOM[0]].recipe
    assert (xception.epochs, lstm.epochs) == (330, 240)
    assert (xception.options.input_size_px, xception.options.input_channels) == (48, 1)
    assert xception.options.width_multiplier == 1
    assert (xception.options.classes, lstm.options.classes) == (7, 7)
    assert xception.stopping.patience == lstm.stopping.patience == 0
    split = lstm.data
    assert (split.protocol, split.validation_share, split.test_share) == ("random", 0.1, 0.1)
    assert split.leaks == "allow"
    faces: Preparation = found[FACES]
    assert dict(faces.options) == {
        "modality": "video-only",
        "channel": "both",
        "neutral": "calm",
    }
    assert faces.settings.cropping.color == "grey"


@pytest.mark.parametrize("scale", list(SCALES))
def test_held_out_actors_differ_from_the_random_split_in_the_split_alone(scale: ScaleName) -> None:
    found = steps(scale)
    for random, actors in ((LSTM_RANDOM[0], LSTM_ACTORS), (SINGLE_RANDOM, SINGLE_ACTORS)):
        one: Training = found[random]
        folds: CrossValidation = found[actors]
        assert folds.recipe.data.protocol == "actor-folds"
        assert folds.recipe.data.leaks == "refuse"
        assert folds.folds == 0
        assert replace(folds.recipe, data=one.recipe.data) == one.recipe
    seeds = {found[key].recipe.data.split_seed for key in LSTM_RANDOM[: SCALES[scale].draws]}
    assert len(seeds) == SCALES[scale].draws


def test_drawn_actors_have_every_class_equally_often_and_calm_for_neutral(tmp_path: Path) -> None:
    # The layout alone is looked at: pictures of the least size.
    for number, one in enumerate(ABDULLAH2020.dataset("ravdess").synthetic_sets("smoke")):
        small = replace(one, width=32, height=32, seconds=0.04)
        clips = list(plan_set(small, layout="ravdess"))
        assert {clip.subject for clip in clips} == {f"S{at:03d}" for at in range(1, 11)}
        if number == 0:
            first = clips
    write_layout("ravdess", [*first, *clips], tmp_path)
    records = read_ravdess(tmp_path, channel="both", neutral="calm")
    counts = {name: sum(record.emotion == name for record in records) for name in CLASSES}
    assert counts == dict.fromkeys(CLASSES, 10)
    assert len({record.subject for record in records}) == 10


def test_a_page_without_any_result_says_so(tmp_path: Path) -> None:
    found = results(tmp_path)
    report = ABDULLAH2020.report(found)
    cells = [
        cell
        for section in report.sections
        for item in section.items
        if isinstance(item, Table)
        for row in item.rows
        for cell in row
    ]
    assert not any(isinstance(cell, Score) for cell in cells)
    assert sum(isinstance(cell, Missing) for cell in cells) > 20
    assert {claim.verdict for claim in report.claims} == {"not run"}
    assert report.learned == ()
    html, markdown, record = write_pages(ABDULLAH2020, found)
    assert "Do the paper" in html.read_text("utf-8")
    assert "| 65 % |" in markdown.read_text("utf-8")
    assert json.loads(record.read_text("utf-8"))["paper"] == "abdullah2020"


def of_pictures(accuracy: float, low: float, high: float) -> dict[str, Any]:
    return {
        "scores": {
            side: {
                "split": "official",
                "side": side,
                "intervals_over": "video",
                "heads": {
                    "expression": {
                        "n": 3589,
                        "accuracy": accuracy,
                        "intervals_95": {"accuracy": [low, high]},
                    }
                },
            }
            for side in ("validation", "test")
        }
    }


@pytest.mark.parametrize(
    ("ends", "origin", "verdict"),
    [
        ((0.81, 0.84), "real", "holds"),
        ((0.66, 0.70), "real", "does not hold"),
        ((0.78, 0.82), "real", "undecided"),
        ((0.95, 0.99), "synthetic", "undecided"),
    ],
)
def test_a_number_of_the_paper_is_judged_by_the_interval(
    tmp_path: Path, ends: tuple[float, float], origin: Origin, verdict: str
) -> None:
    facts = of_pictures(sum(ends) / 2, *ends)
    step = StepResult(key=XCEPTION, outcome="done", facts=facts, origin=origin)
    claim = ABDULLAH2020.report(results(tmp_path, xception=step)).claims[0]
    assert f"{100 * FER2013_CLAIM:.0f} %" == claim.theirs
    assert claim.verdict == verdict
    assert "n = 3,589 pictures" in claim.ours
    assert ("drawn faces" in claim.ours) == (origin == "synthetic")


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [((0.1, 0.3), "holds"), ((-0.1, 0.3), "undecided"), ((-0.3, -0.1), "does not hold")],
)
def test_the_difference_between_the_splits_is_judged_by_its_interval(
    tmp_path: Path, ends: tuple[float, float], verdict: str
) -> None:
    facts = {
        "n": 491,
        "groups": 24,
        "intervals_over": "subject",
        **{
            name: {"first": 0.8, "second": 0.6, "difference": 0.2, "interval_95": list(ends)}
            for name in ("accuracy", "unweighted_average_recall")
        },
        "first_split": "random",
        "second_split": "folds",
    }
    step = StepResult(key=LEAK, outcome="done", facts=facts)
    report = ABDULLAH2020.report(results(tmp_path, leak=step))
    (claim,) = [one for one in report.claims if "flatters" in one.statement]
    assert claim.verdict == verdict
    assert "80.0 % against 60.0 %" in claim.ours
    assert "24 subjects" in claim.ours
    # A lesson is written only where the interval leaves 0 out.
    assert len(report.learned) == (verdict != "undecided")


# --- all of it ------------------------------------------------------------------------------------


def reproduce(out: Path, *words: str) -> int:
    scale = ("--scale", "smoke", "--threads", "1", "--quiet")
    return main(["reproduce", "abdullah2020", *words, *scale, "-o", str(out)])


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("abdullah2020") / "out"
    assert reproduce(out, "--synthetic") == 0
    return out


@pytest.mark.slow
def test_smoke_does_every_step_and_shows_both_splits_side_by_side(smoke: Path) -> None:
    record = json.loads((smoke / "report.json").read_text("utf-8"))
    assert {step["outcome"] for step in record["steps"]} == {"done"}
    assert {step["origin"] for step in record["steps"]} == {"synthetic"}
    page = (smoke / "report.html").read_text("utf-8")
    links = set(re.findall(r"href='(runs/[^']*)'", page))
    assert {f"runs/{XCEPTION}/", f"runs/{LSTM_RANDOM[0]}/", f"runs/{LSTM_ACTORS}/"} <= links
    assert all((smoke / link).is_dir() for link in links)
    anchors = set(re.findall(r"href='#([^']+)'", page))
    assert all(f"id='{anchor}'" in page for anchor in anchors)
    ours = re.findall(r"<td class='ours' title=.*?</td>", page)
    assert ours
    assert all("class='mark'>synthetic<" in cell for cell in ours)

    tables = [item for one in record["sections"] for item in one["items"]]
    (answers,) = [item for item in tables if item["title"].startswith("RAVDESS: the LSTM")]
    for _, _, random, actors in answers["rows"]:
        assert "LEAKS ALLOWED" in random["protocol"]
        assert "actors leak" in random["note"]
        assert "RAVDESS actor folds" in actors["protocol"]
        assert "LEAKS" not in actors["protocol"]
    # All five folds: each of the ten actors is tested once, on seven videos.
    assert answers["rows"][2][3]["n"] == 70
    faces = json.loads((smoke / "results" / f"{FACES}.json").read_text("utf-8"))
    assert faces["facts"]["clips_usable"] > 60


@pytest.mark.slow
def test_a_second_call_repeats_nothing(smoke: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (smoke / "results").rglob("*.json")}
    checkpoints = {path: path.stat().st_mtime_ns for path in (smoke / "runs").rglob("*.ckpt")}
    assert reproduce(smoke, "--synthetic") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in checkpoints} == checkpoints


@pytest.mark.slow
def test_ones_own_videos_take_the_place_of_both_data_sets(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    people = SetSettings(clips=36, subjects=6, seconds=0.2, width=112, height=112)
    write_layout("manifest", plan_set(replace(people, emotion="all"), layout="ravdess"), mine)
    out = tmp_path / "out"
    assert reproduce(out, "--data", f"fer2013={mine}", f"ravdess={mine / 'manifest.csv'}") == 0
    record = json.loads((out / "report.json").read_text("utf-8"))
    assert {step["outcome"] for step in record["steps"]} == {"done"}
    assert not record["has_synthetic"]
    assert "manifest" in (out / "report.html").read_text("utf-8")
    # Faces are looked for, which FER2013 needs not; and people with names get folds of their own.
    cache = json.loads((out / "caches" / STILLS / MANIFEST_FILE).read_text("utf-8"))
    assert cache["cropping"]["detector"] == "haar"
    answers = json.loads((out / "results" / f"{ANSWERS_ACTORS}.json").read_text("utf-8"))
    assert "subject-grouped" in answers["facts"]["scores"]["test"]["split"]
    assert "LEAKS" not in answers["facts"]["scores"]["test"]["split"]
    random = json.loads((out / "results" / f"{ANSWERS_RANDOM}.json").read_text("utf-8"))
    assert "LEAKS ALLOWED" in random["facts"]["scores"]["test"]["split"]
    verdicts: dict[str, str] = {one["statement"]: one["verdict"] for one in record["claims"]}
    assert "not run" not in verdicts.values()
    assert (out / "results" / f"{TIME_ACTORS}.json").is_file()
