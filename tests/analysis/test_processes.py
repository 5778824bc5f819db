"""Several inputs at a time: the same results, and nothing lost where a process dies."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from emotrace.analysis.batch import analyze_inputs
from emotrace.analysis.one_input import InputRunner, OutputChoice
from emotrace.analysis.outcomes import InputOutcome
from emotrace.analysis.processes import RunnerRecipe, Task, run_in_processes
from emotrace.analysis.settings import AnalysisSettings
from emotrace.bundle import load_bundle
from emotrace.errors import BundleError, EmotraceError, UsageError
from tests.analysis.media import write_clip

if TYPE_CHECKING:
    from emotrace.analysis.progress import Progress, ProgressHook

HAAR = AnalysisSettings(detector="haar", threads=2)


class Watcher:
    """Notes what it is told."""

    def __init__(self, *, stops_at_progress: bool = False) -> None:
        self.started: list[tuple[str, int, int]] = []
        self.told: set[str] = set()
        self.done: list[str] = []
        self._stops_at_progress = stops_at_progress

    def on_start(self, path: Path, position: int, total: int) -> None:
        self.started.append((path.name, position, total))

    def on_progress(self, path: Path, progress: Progress) -> None:
        assert path.name not in self.done
        self.told.add(path.name)
        if self._stops_at_progress:
            raise KeyboardInterrupt

    def on_done(self, outcome: InputOutcome) -> None:
        self.done.append(outcome.path.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretendRecipe(RunnerRecipe):
    """Makes a runner that does what an input's name says."""

    once: Path | None = None
    """Only the first process that makes this file starts."""

    def make(self) -> InputRunner:
        if self.outputs.csv:
            os._exit(3)
        if self.outputs.report:
            raise ImportError("no model today")
        if self.once is not None:
            try:
                self.once.touch(exist_ok=False)
            except FileExistsError:
                os._exit(9)
        return PretendRunner()  # type: ignore[return-value]


class PretendRunner:
    def run(self, path: Path, folder: Path, hook: ProgressHook) -> InputOutcome:
        if "killed" in path.name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "leaves" in path.name:
            os._exit(7)
        if "bug" in path.name:
            raise EOFError("nobody thought of it")
        return InputOutcome(path=path, status="done", folder=folder)


def pretend(**changes: Any) -> PretendRecipe:
    known: dict[str, Any] = {
        "bundle": "default",
        "prior": "default",
        "settings": HAAR,
        "detector": "haar",
        "detector_notice": None,
        "outputs": OutputChoice(),
        "overwrite": False,
    }
    return PretendRecipe(**(known | changes))


def tasks_of(*names: str) -> list[Task]:
    return [
        Task(position=position, path=Path(name), folder=Path(name).with_suffix(""))
        for position, name in enumerate(names)
    ]


def test_the_results_are_those_of_one_at_a_time(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{number}.mp4") for number in range(3)]
    (tmp_path / "text.mp4").write_text("no video at all")
    inputs = [tmp_path / "missing*.mp4", clips[0], tmp_path / "text.mp4", *clips[1:]]
    watcher = Watcher()
    several = analyze_inputs(
        inputs,
        tmp_path / "several",
        settings=HAAR,
        jobs=2,
        observer=watcher,
        outputs=OutputChoice(csv=True),
    )
    single = analyze_inputs(
        inputs, tmp_path / "single", settings=HAAR, outputs=OutputChoice(csv=True)
    )
    assert [(o.path, o.status, o.error) for o in several.outcomes] == [
        (o.path, o.status, o.error) for o in single.outcomes
    ]
    assert [o.status for o in several.outcomes] == ["failed", "done", "failed", "done", "done"]
    for one, other in zip(several.done, single.done, strict=True):
        assert one.folder is not None
        assert other.folder is not None
        assert pq.read_table(one.folder / "timeline.parquet").equals(
            pq.read_table(other.folder / "timeline.parquet")
        )
        assert (one.folder / "timeline.csv").read_bytes() == (
            other.folder / "timeline.csv"
        ).read_bytes()
        # Each had half of the threads.
        assert one.summary is not None
        assert one.summary["settings"]["threads"] == 1
    assert watcher.started[0] == ("missing*.mp4", 0, 5)
    assert [position for _, position, _ in watcher.started] == [0, 1, 2, 3, 4]
    assert sorted(watcher.done) == sorted(path.name for path in inputs)
    assert watcher.told == {clip.name for clip in clips}
    batch = json.loads((tmp_path / "several" / "batch.json").read_text())
    assert batch["counts"] == {"inputs": 5, "done": 3, "skipped": 0, "damaged": 0, "failed": 2}
    again = analyze_inputs(
        clips, tmp_path / "several", settings=HAAR, jobs=3, outputs=OutputChoice(csv=True)
    )
    assert [o.status for o in again.outcomes] == ["skipped"] * 3


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
def test_a_process_that_dies_takes_one_input_with_it() -> None:
    watcher = Watcher()
    names = ("a.mp4", "killed.mp4", "b.mp4", "leaves.mp4", "c.mp4", "d.mp4")
    outcomes = run_in_processes(tasks_of(*names), pretend(), jobs=2, total=6, observer=watcher)
    assert [outcomes[at].status for at in range(6)] == [
        *("done", "failed", "done", "failed", "done", "done")
    ]
    assert "expected to analyse killed.mp4; its process was ended by signal 9" in str(
        outcomes[1].error
    )
    assert "its process ended with exit code 7" in str(outcomes[3].error)
    assert sorted(watcher.done) == sorted(names)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (OutputChoice(csv=True), r"one ended with exit code 3 before it was ready; .*__main__"),
        (OutputChoice(report=True), "an unexpected ImportError: no model today"),
    ],
)
def test_processes_that_cannot_start_are_said(outputs: OutputChoice, words: str) -> None:
    tasks = tasks_of("a.mp4", "b.mp4")
    with pytest.raises(EmotraceError, match=words):
        run_in_processes(tasks, pretend(outputs=outputs), jobs=2, total=2, observer=Watcher())
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
def test_where_no_process_can_be_started_any_more_the_rest_is_told(tmp_path: Path) -> None:
    watcher, recipe = Watcher(), pretend(once=tmp_path / "once")
    names = ("a.mp4", "killed.mp4", "b.mp4", "c.mp4")
    # One of the two never starts; the other's place cannot be filled either.
    outcomes = run_in_processes(tasks_of(*names), recipe, jobs=1, total=4, observer=watcher)
    assert [outcomes[at].status for at in range(4)] == ["done", "failed", "failed", "failed"]
    for at in (2, 3):
        assert "no process could be started for it any more" in str(outcomes[at].error)
        assert "__main__" not in str(outcomes[at].error)
    assert watcher.done == list(names)
    assert [name for name, _, _ in watcher.started] == list(names)


def test_a_bug_is_not_told_as_a_damaged_file() -> None:
    tasks = tasks_of("bug.mp4", "a.mp4")
    outcomes = run_in_processes(tasks, pretend(), jobs=1, total=2, observer=Watcher())
    assert "unexpected EOFError: nobody thought of it; this is a bug" in str(outcomes[0].error)
    assert outcomes[1].status == "done"


def test_being_stopped_leaves_nothing_half_written(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{number}.mp4", frames=400) for number in range(2)]
    with pytest.raises(KeyboardInterrupt):
        analyze_inputs(
            clips,
            tmp_path / "out",
            settings=HAAR,
            jobs=2,
            observer=Watcher(stops_at_progress=True),
        )
    assert multiprocessing.active_children() == []
    time.sleep(0.1)
    assert list((tmp_path / "out").rglob("*")) == []


def test_what_cannot_be_is_said_before_any_process(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{number}.mp4") for number in range(2)]
    with pytest.raises(UsageError, match="expected jobs of at least 1"):
        analyze_inputs(clips, tmp_path / "out", jobs=0)
    with pytest.raises(UsageError, match="a bundle's name or folder for more; got 2"):
        analyze_inputs(clips, tmp_path / "out", jobs=2, bundle=load_bundle("default"))
    with pytest.raises(BundleError):
        analyze_inputs(clips, tmp_path / "out", jobs=2, bundle="nobody")
    assert not (tmp_path / "out" / "0").exists()
