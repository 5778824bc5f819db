"""A toy paper goes through every kind of step, is interrupted, goes on, and lacks data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.errors import OutputError, TrainingError, UsageError
from emotrace.papers.pages import publish_pages
from emotrace.papers.plan import Computation
from emotrace.papers.reproduce import Reproduction, reproduce
from emotrace.papers.workshop import Order
from tests.papers.toy import TOY

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.papers.plan import ScaleName, Step
    from emotrace.papers.workshop import Workshop

SINGLE = "cnn/one"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    order = Order(
        paper=TOY, scale="smoke", out=tmp_path_factory.mktemp("toy") / "out", synthetic=True
    )
    return reproduce(order)


def again(done: Reproduction, **changes: Any) -> Reproduction:
    return reproduce(replace(done.results.order, **changes))


def times(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for part in ("results", "runs", "caches", "data", "vectors")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }


def test_every_step_is_done_and_says_that_it_is_synthetic(done: Reproduction) -> None:
    assert {key: step.outcome for key, step in done.results.items()} == dict.fromkeys(
        done.results, "done"
    )
    assert {step.origin for step in done.results.values()} == {"synthetic"}
    assert len(done.results) == 8


def test_scores_know_their_n_and_their_protocol(done: Reproduction) -> None:
    scores = done.results[SINGLE].facts["scores"]
    assert scores["test"]["heads"]["expression"]["n"] == scores["test"]["frames"] > 0
    assert scores["jaffe"]["side"] == "whole"
    assert scores["jaffe"]["heads"]["expression"]["n"] == 7
    assert "by subject" in scores["test"]["split"]


def test_folds_are_scored_together_and_nobody_twice(done: Reproduction) -> None:
    facts = done.results["folds"].facts
    people = [set(fold["test_subjects"]) for fold in facts["folds"]]
    assert len(people) == 2
    assert not people[0] & people[1]
    assert facts["folds_of_protocol"] == 3
    each = [fold["examples"]["test"] for fold in facts["folds"]]
    assert facts["scores"]["test"]["heads"]["expression"]["n"] == sum(each)


def test_a_second_call_repeats_nothing(done: Reproduction) -> None:
    before = times(done.results.folder)
    assert not again(done).failed
    assert times(done.results.folder) == before


def test_an_interrupted_call_goes_on(tmp_path: Path) -> None:
    order = Order(paper=TOY, scale="smoke", out=tmp_path / "out", synthetic=True)

    def interrupt(key: str, number: int, total: int) -> None:
        del number, total
        if key == "cnn/two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(order, on_step=interrupt)
    before = times(order.out)
    assert f"results/{SINGLE}.json" in before
    assert not reproduce(order).failed
    after = times(order.out)
    assert {name: after[name] for name in before} == before
    assert "results/cnn/two.json" in after


def test_the_page_holds_both_numbers_and_links_to_the_runs(done: Reproduction) -> None:
    folder = done.results.folder
    page = (folder / "report.html").read_text("utf-8")
    assert "<td class='theirs'>95%</td>" in page
    link = re.search(r"<td class='ours'[^>]*><a href='(runs/cnn/one/)'>", page)
    assert link is not None
    assert (folder / link[1] / "run.json").is_file()
    cell = page[link.start() : page.index("</td>", link.start())]
    assert "<span class='mark'>synthetic</span>" in cell
    assert re.search(r"n = \d+ pictures", cell)
    assert not re.search(r"(src|href)='(https?:)?//", page)


def test_markdown_and_json_say_the_same(done: Reproduction) -> None:
    folder = done.results.folder
    record = json.loads((folder / "report.json").read_text("utf-8"))
    table = record["sections"][0]["items"][0]
    ours = table["rows"][0][2]
    assert ours["kind"] == "score"
    assert ours["origin"] == "synthetic"
    markdown = (folder / "report.md").read_text("utf-8")
    assert f"[{100 * ours['value']:.1f} %](runs/cnn/one/)" in markdown
    assert markdown.count("*synthetic*") >= 3
    for place in re.findall(r"\]\((figures/[^)]+)\)", markdown):
        assert (folder / place).is_file()


def test_published_pages_need_no_runs(done: Reproduction, tmp_path: Path) -> None:
    publish_pages(TOY, done.results, tmp_path)
    page = (tmp_path / "toy.html").read_text("utf-8")
    assert "href='runs/" not in page
    anchors = set(re.findall(r"href='#([^']+)'", page))
    assert anchors
    assert all(f"id='{anchor}'" in page for anchor in anchors)
    for name in ("toy.html", "toy.md", "toy.json"):
        assert str(done.results.folder) not in (tmp_path / name).read_text("utf-8")
    for place in re.findall(r"\]\((figures/[^)]+)\)", (tmp_path / "toy.md").read_text("utf-8")):
        assert (tmp_path / place).is_file()


def test_a_lacking_data_set_costs_what_needs_it(done: Reproduction, tmp_path: Path) -> None:
    given = {"ckplus": done.results.folder / "data" / "ckplus"}
    found = reproduce(Order(paper=TOY, scale="smoke", out=tmp_path / "out", data=given))
    outcomes = {key: step.outcome for key, step in found.results.items()}
    assert outcomes["faces"] == outcomes["cnn/two"] == "done"
    assert outcomes["stills"] == outcomes[SINGLE] == "skipped"
    assert "Zenodo" in found.results[SINGLE].reason
    assert found.results["faces"].origin == "real"
    assert not found.failed
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "not run" in page
    assert "request it on Zenodo" in page

    # What is found later may be added to the same folder.
    more = {**given, "jaffe": done.results.folder / "data" / "jaffe"}
    later = reproduce(Order(paper=TOY, scale="smoke", out=tmp_path / "out", data=more))
    assert all(step.outcome == "done" for step in later.results.values())


def test_a_step_that_fails_costs_what_needs_it_and_is_tried_again(tmp_path: Path) -> None:
    order = Order(
        paper=replace(TOY, plan=failing_plan), scale="smoke", out=tmp_path / "out", synthetic=True
    )
    found = reproduce(order)
    assert [step.key for step in found.failed] == ["breaks"]
    assert found.results["breaks"].reason == "expected luck; got none"
    assert found.results["after"].outcome == "skipped"
    assert found.results["counts"].outcome == "done"
    assert reproduce(order).failed


def break_down(workshop: Workshop) -> dict[str, Any]:
    del workshop
    raise TrainingError("expected luck; got none")


def count_nothing(workshop: Workshop) -> dict[str, Any]:
    return {"steps": len(workshop.found)}


def failing_plan(scale: ScaleName) -> tuple[Step, ...]:
    del scale
    return (
        Computation(key="counts", of=(), compute=count_nothing),
        Computation(key="breaks", of=("counts",), compute=break_down),
        Computation(key="after", of=("breaks",), compute=count_nothing),
    )


def test_a_folder_of_another_order_is_refused(done: Reproduction, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has other seed \(0 there, 1 now\)"):
        again(done, seed=1)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        again(done, out=tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_settings_that_changed_are_not_mixed_with_old_results(done: Reproduction) -> None:
    other = replace(TOY, plan=changed_plan)
    with pytest.raises(UsageError, match="to be of the same experiment"):
        again(done, paper=other)


def changed_plan(scale: ScaleName) -> tuple[Step, ...]:
    return tuple(
        replace(step, settings={"other": True}) if isinstance(step, Computation) else step
        for step in TOY.plan(scale)
    )


def test_no_data_at_all_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data NAME=ROOT \(of ckplus, jaffe\) or --synthetic"):
        reproduce(Order(paper=TOY, scale="smoke", out=tmp_path / "out"))
    unknown = Order(paper=TOY, scale="smoke", out=tmp_path / "out", data={"fer2014": tmp_path})
    with pytest.raises(UsageError, match="out of ckplus, jaffe; got 'fer2014'"):
        reproduce(unknown)


def test_a_root_that_is_not_there_fails_its_steps(tmp_path: Path) -> None:
    order = Order(
        paper=TOY, scale="smoke", out=tmp_path / "out", data={"ckplus": tmp_path / "nowhere"}
    )
    found = reproduce(order)
    assert found.results["faces"].outcome == "failed"
    assert "there is nothing" in found.results["faces"].reason


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError):
        reproduce(Order(paper=TOY, scale="smoke", out=tmp_path / "out", synthetic=True))
