"""salinas2018: its plan, the paper's numbers, what each network sees, its page, all of it run."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.cli.app import main
from emotrace.datasets.oulu_casia import read_oulu_casia
from emotrace.models.zoo import find_architecture
from emotrace.papers.catalogue import find_paper
from emotrace.papers.pages import write_pages
from emotrace.papers.plan import CrossValidation, Preparation, Training, check_plan
from emotrace.papers.report import Missing, Score, Table
from emotrace.papers.reproduce import reproduce
from emotrace.papers.salinas2018.claims import Answers, compare, time_ratio
from emotrace.papers.salinas2018.numbers import (
    ALL_FACES,
    BLOCKS,
    FINAL,
    NETWORKS,
    PUBLISHED_PARAMETERS,
    faces_key,
    run_key,
)
from emotrace.papers.salinas2018.paper import SALINAS2018, SCALES, plan, recipe
from emotrace.papers.salinas2018.report import write_report
from emotrace.papers.salinas2018.sizes import count_parameters, trainable
from emotrace.papers.workshop import Order, Results, StepResult
from emotrace.synth.layouts import write_layout
from emotrace.synth.plans import SetSettings, plan_set
from emotrace.training.zoo.data import load_data
from tests.training.tiny_zoo import write_cache

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.papers.plan import ScaleName, Step

SINGLE, EARLY = run_key("single-frame", "ckplus"), run_key("early-fusion", "ckplus")
LATE = run_key("late-fusion", "ckplus")


def steps(scale: ScaleName) -> dict[str, Any]:
    return {step.key: step for step in plan(scale)}


def results(folder: Path, *found: StepResult) -> Results:
    order = Order(paper=SALINAS2018, scale="smoke", out=folder, synthetic=True)
    return Results({step.key: step for step in found}, folder=folder, order=order)


# --- the plan ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", list(SCALES))
def test_every_scale_has_every_experiment(scale: ScaleName) -> None:
    made: tuple[Step, ...] = find_paper("salinas2018").plan(scale)
    check_plan(made)
    keys = {step.key for step in made}
    assert {run_key(network, name) for network in NETWORKS for name in BLOCKS} <= keys
    assert {FINAL, ALL_FACES, "parameters", "whole-frames/ckplus"} <= keys
    assert keys == set(steps("full"))


def test_full_has_the_papers_settings() -> None:
    made = steps("full")
    for key, step in made.items():
        if not isinstance(step, CrossValidation | Training):
            continue
        found = step.recipe
        assert (found.epochs, found.batch_size, found.seed) == (200, 32, 0), key
        assert found.optimiser.optimiser == "adam"
        assert found.optimiser.learning_rate == 1e-5
        assert (found.optimiser.weight_decay, found.optimiser.schedule) == (0, "constant")
        assert found.data.protocol == "leave-one-subject-out"
        assert found.options.input_size_px == 170
        assert found.options.norm_momentum == 0.01  # Keras's
        assert step.weights == "last"
        if isinstance(step, CrossValidation):
            assert step.folds == 0  # everybody
    for key in (faces_key("ckplus"), faces_key("oulu-casia"), ALL_FACES):
        found = made[key]
        assert isinstance(found, Preparation)
        assert found.settings.missing_faces == "drop_clip"
        assert found.settings.cropping.detector == "lbp"
        assert found.settings.cropping.color == "rgb"
        assert found.settings.cropping.shape == (170, 170, 3)
        for source in found.sources:
            assert {"no-contempt", "at-least-15-frames"} <= set(source.selections)
    assert [source.dataset for source in made[ALL_FACES].sources] == ["ckplus", "oulu-casia"]
    assert "strong-light" in made[faces_key("oulu-casia")].selections
    assert "visible-light" in made[ALL_FACES].joined[0].selections
    assert made["whole-frames/ckplus-pictures"].settings.cropping.detector == "none"


def test_table_1_is_counted_on_networks_of_the_papers_sizes() -> None:
    found = count_parameters(None)  # type: ignore[arg-type]
    assert found["as_table_1"] == PUBLISHED_PARAMETERS
    assert all(
        found["with_filters_of_the_text"][name] != count
        for name, count in PUBLISHED_PARAMETERS.items()
    )
    # At full the experiments' networks differ from Table I by the outputs alone.
    for network, count in PUBLISHED_PARAMETERS.items():
        own = trainable(network, classes=6)
        units = 5 if network == "recurrent" else 4096
        assert count - own in (0, 2 * (units + 1))


@pytest.mark.parametrize(
    ("network", "frames", "measured"),
    [
        ("single-frame", 1, 3 * 20),  # every frame of a held-out sequence votes
        ("early-fusion", 10, 3),
        ("late-fusion", 2, 3 * 6),  # every pair; the one at the end is Table IV's
        ("slow-fusion", 10, 3),
        ("conv3d", 5, 3 * 16),  # blocks of five at stride 1
        ("recurrent", 5, 3),
    ],
)
def test_training_sees_ends_and_measuring_what_the_paper_says(
    tmp_path: Path, network: str, frames: int, measured: int
) -> None:
    cache = write_cache(tmp_path, clips=6, subjects=2, frames=20)
    made = recipe(network, SCALES["smoke"])
    made = replace(made, data=replace(made.data, data=cache))
    row = find_architecture(made.architecture)
    data = load_data(made, kind=row.kind, heads=row.build(made.options).heads)
    train, test = data.train, data.sides["test"]
    assert len(train) == 3  # one of each sequence
    assert train.names.frame[train.target_rows].tolist() == [19, 19, 19]
    assert set(train.steps.tolist()) == {frames}
    reach = 15 if network == "late-fusion" else frames
    assert set(train.names.frame[train.first].tolist()) == {20 - reach}
    assert len(test) == measured


# --- judging -------------------------------------------------------------------------------------


def answered(key: str, right: list[int], people: list[str], **more: Any) -> StepResult:
    said = {
        "videos": [f"v{at}" for at in range(len(right))],
        "subjects": people,
        "truth": ["anger"] * len(right),
        "summed_probabilities": ["anger" if one else "fear" for one in right],
        "maximum_probability": ["fear"] * len(right),
    }
    facts = {"scores": {"test": {"decisions": said}}, **more}
    return StepResult(key=key, outcome="done", facts=facts, origin="synthetic")


def test_networks_are_compared_on_the_same_sequences_by_people(tmp_path: Path) -> None:
    people = [name for name in "abcdef" for _ in range(2)]
    one = answered(LATE, [1] * 12, people)
    other = answered(SINGLE, [1, 0] * 6, people)
    found = compare(results(tmp_path, one, other), Answers(key=LATE), Answers(key=SINGLE))
    assert found is not None
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert (found.sequences, found.people, found.origin) == (12, 6, "synthetic")
    assert found.verdict == "holds"
    back = compare(results(tmp_path, one, other), Answers(key=SINGLE), Answers(key=LATE))
    assert back is not None
    assert back.verdict == "does not hold"
    votes = compare(
        results(tmp_path, one),
        Answers(key=LATE),
        Answers(key=LATE, vote="maximum_probability"),
    )
    assert votes is not None
    assert votes.value == 1


def test_few_people_decide_nothing(tmp_path: Path) -> None:
    people = ["a", "a", "b", "b"]
    pair = results(tmp_path, answered(LATE, [1] * 4, people), answered(SINGLE, [0] * 4, people))
    found = compare(pair, Answers(key=LATE), Answers(key=SINGLE))
    assert found is not None
    assert found.low == found.high == 1
    assert found.verdict == "undecided"
    assert "too few people" in found.text()
    assert compare(pair, Answers(key=LATE), Answers(key=EARLY)) is None


def test_times_are_set_against_single_frame_fold_by_fold(tmp_path: Path) -> None:
    def timed(key: str, seconds: list[float | None]) -> StepResult:
        folds = [{"fold": at, "seconds": value} for at, value in enumerate(seconds, 1)]
        return answered(key, [1], ["a"], folds=folds)

    found = time_ratio(
        results(tmp_path, timed(LATE, [2.0, 4.0, None]), timed(SINGLE, [1.0, 2.0, 9.0])),
        "late-fusion",
        "ckplus",
    )
    assert found is not None
    assert (found["ratio"], found["low"], found["high"], found["folds"]) == (2, 2, 2, 2)
    assert found["clock"] == "seconds"


# --- the page ------------------------------------------------------------------------------------


def test_a_page_without_any_result_says_why(tmp_path: Path) -> None:
    empty = results(tmp_path)
    report = write_report(empty)
    cells = [
        cell
        for section in report.sections
        for item in section.items
        if isinstance(item, Table)
        for row in item.rows
        for cell in row
    ]
    assert not any(isinstance(cell, Score) for cell in cells)
    assert sum(isinstance(cell, Missing) for cell in cells) > 60
    assert {claim.verdict for claim in report.claims} == {"not run"}
    html, markdown, data = write_pages(SALINAS2018, empty)
    assert "Table VIII" in html.read_text()
    assert "0.665" in markdown.read_text()
    assert json.loads(data.read_text())["paper"] == "salinas2018"


# --- all of it -----------------------------------------------------------------------------------


def only(*keys: str) -> Any:
    """Return the paper with some of its steps."""
    return replace(
        SALINAS2018, plan=lambda scale: tuple(step for step in plan(scale) if step.key in keys)
    )


@pytest.mark.slow
def test_sequences_of_three_pictures_teach_what_they_can(tmp_path: Path) -> None:
    clips = plan_set(SetSettings(clips=24, subjects=3, seconds=0.12), layout="ckplus")
    written = list(write_layout("ckplus", clips, tmp_path / "CK+"))
    assert {clip.frame_count for clip in written if hasattr(clip, "frame_count")} <= {1, 2, 3}
    paper = only("faces/ckplus", SINGLE, EARLY)
    order = Order(
        paper=paper, scale="smoke", out=tmp_path / "out", data={"ckplus": tmp_path / "CK+"}
    )
    done = reproduce(order)
    found = done.results
    assert found[SINGLE].outcome == "done"
    assert found[EARLY].outcome == "failed"
    assert "long enough" in found[EARLY].reason
    facts = found["faces/ckplus"].facts
    assert facts["selections"] == ["labelled", "no-contempt"]
    page = done.pages[1].read_text()
    assert "nothing of its 24 clips is left after labelled, no-contempt, at-least-15" in page
    assert "neutral" in page  # a label that is none of the six, counted


@pytest.mark.slow
def test_smoke_does_everything_once_and_a_manifest_takes_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["reproduce", "salinas2018", "--synthetic", "--scale", "smoke", "--threads", "1"]
    assert main([*words, "-o", str(out)]) == 0
    record = json.loads((out / "report.json").read_text())
    assert {step["outcome"] for step in record["steps"]} == {"done"}
    cells = _scores(record)
    assert len(cells) > 60
    counted = [cell for cell in cells if cell["run"] != "parameters"]
    assert {cell["origin"] for cell in counted} == {"synthetic"}
    page = (out / "report.html").read_text()
    assert page.count(">synthetic</span>") > len(counted)
    for link in set(re.findall(r"href='(runs/[^']+)/'", page)):
        assert (out / link).is_dir(), link
    before = {path: path.stat().st_mtime_ns for path in (out / "results").rglob("*.json")}
    assert main([*words, "-o", str(out)]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    capsys.readouterr()
    _check_manifest(out / "data" / "oulu-casia", tmp_path)


def _check_manifest(drawn: Path, tmp_path: Path) -> None:
    """Let a table of the user's own stand in for Oulu-CASIA."""
    table = tmp_path / "mine" / "manifest.csv"
    table.parent.mkdir()
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("media", "subject", "emotion"))
        for record in read_oulu_casia(drawn):
            folder = record.media_paths()[0].parent
            writer.writerow((str(folder), record.subject, record.emotion))
    key = run_key("late-fusion", "oulu-casia")
    order = Order(
        paper=only("faces/oulu-casia", key, ALL_FACES, FINAL),
        scale="smoke",
        out=tmp_path / "of-manifest",
        data={"oulu-casia": table},
    )
    found = reproduce(order).results
    assert found[key].outcome == "done", found[key].reason
    assert found[key].origin == "real"
    assert found["faces/oulu-casia"].facts["reader"] == "manifest"
    assert found[FINAL].outcome == "skipped"
    assert "ckplus is not given" in found[FINAL].reason


def _scores(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        cell
        for section in record["sections"]
        for item in section["items"]
        if item["kind"] == "table"
        for row in item["rows"]
        for cell in row
        if isinstance(cell, dict) and cell["kind"] == "score"
    ]
