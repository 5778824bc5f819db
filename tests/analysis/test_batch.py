from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

import emotrace
from emotrace.analysis.batch import analyze_inputs
from emotrace.analysis.one_input import OutputChoice
from emotrace.analysis.outcomes import BATCH_FILE, InputOutcome
from emotrace.analysis.pipeline import Progress
from emotrace.analysis.post_processing import AffectPostProcessing, PostProcessing
from emotrace.analysis.settings import AnalysisSettings
from emotrace.bundle import load_bundle
from emotrace.bundle_spec import SPEC_FILE
from emotrace.errors import OutputError
from tests.analysis.media import write_clip

HAAR = AnalysisSettings(detector="haar", threads=1)
TABLES = {"segments.parquet", "summary.json", "timeline.parquet"}


def files_in(folder: Path | None) -> set[str]:
    assert folder is not None
    return {path.name for path in folder.iterdir()}


def test_each_input_gets_a_folder(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / name) for name in ("a.mp4", "b.mp4", "b.mov")]
    report = analyze_inputs(clips, tmp_path / "out", settings=HAAR)
    folders = [outcome.folder.name for outcome in report.done if outcome.folder]
    assert folders == ["a", "b.mp4", "b.mov"]
    assert all(files_in(outcome.folder) == TABLES for outcome in report.done)


def test_all_outputs_are_written_and_whole(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    outputs = OutputChoice(
        csv=True, video=True, report=True, subtitles=True, openface=True, pyfeat=True
    )
    report = analyze_inputs([clip], tmp_path / "out", settings=HAAR, outputs=outputs)
    folder = report.done[0].folder
    assert folder is not None
    assert files_in(folder) == TABLES | {
        "annotated.mp4",
        "openface.csv",
        "pyfeat.csv",
        "report.html",
        "segments.csv",
        "subtitles.vtt",
        "timeline.csv",
    }
    with av.open(str(folder / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 12
    assert (folder / "subtitles.vtt").read_text().startswith("WEBVTT")
    assert len((folder / "timeline.csv").read_text().splitlines()) == 13


def test_a_bad_input_does_not_stop_the_others(tmp_path: Path) -> None:
    good = write_clip(tmp_path / "good.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    inputs = [tmp_path / "missing.mp4", text, empty, tmp_path / "*.nothing", good]
    report = analyze_inputs(inputs, tmp_path / "out", settings=HAAR)
    assert [o.status for o in report.outcomes] == ["failed"] * 4 + ["done"]
    assert all(o.error and "\n" not in o.error for o in report.failed)
    counts = json.loads((tmp_path / "out" / BATCH_FILE).read_text())["counts"]
    assert counts == {"inputs": 5, "done": 1, "skipped": 0, "damaged": 0, "failed": 4}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"good", BATCH_FILE}


def test_what_is_done_is_skipped_until_something_changes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")

    def status(**more: object) -> str:
        arguments: dict[str, object] = {"settings": HAAR, **more}
        return analyze_inputs([clip], tmp_path / "out", **arguments).outcomes[0].status  # type: ignore[arg-type]

    assert status() == "done"
    assert status() == "skipped"
    assert status(prior="uniform") == "done"
    assert status(prior="uniform", outputs=OutputChoice(csv=True)) == "done"
    assert status(prior="uniform") == "skipped"
    assert status(prior="uniform", overwrite=True) == "done"
    os.utime(clip, ns=(1, 1))
    assert status(prior="uniform") == "done"


def test_another_calibration_of_the_same_model_is_something_that_changes(tmp_path: Path) -> None:
    clip, folder = write_clip(tmp_path / "a.mp4"), tmp_path / "mine"
    shutil.copytree(load_bundle().folder, folder)
    spec = json.loads((folder / SPEC_FILE).read_text())

    def status(**more: Any) -> str:
        report = analyze_inputs([clip], tmp_path / "out", settings=HAAR, bundle=str(folder), **more)
        return report.outcomes[0].status

    assert status() == "done"
    spec["results"]["said"] = "what was measured changes no prediction"
    (folder / SPEC_FILE).write_text(json.dumps(spec))
    assert status() == "skipped"
    spec["expression_outputs"][0]["temperature"] *= 1.1
    (folder / SPEC_FILE).write_text(json.dumps(spec))
    assert status() == "done"
    assert status() == "skipped"
    # The shares of `uniform`, but with the temperature of one's own shares.
    assert status(prior="uniform") == "done"
    assert status(prior=dict.fromkeys(spec["labels"], 1.0)) == "done"


def test_a_run_that_was_killed_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [write_clip(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.mp4")]

    class Killer:
        def on_start(self, path: Path, position: int, total: int) -> None:
            if position == 1:
                raise KeyboardInterrupt

        def on_progress(self, path: Path, progress: Progress) -> None: ...
        def on_done(self, outcome: InputOutcome) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        analyze_inputs(clips, tmp_path / "out", settings=HAAR, observer=Killer())
    report = analyze_inputs(clips, tmp_path / "out", settings=HAAR)
    assert [o.status for o in report.outcomes] == ["skipped", "done", "done"]


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    (tmp_path / "out" / "a").mkdir(parents=True)
    for folder in (tmp_path / "out", tmp_path / "out" / "a"):
        (folder / f".x.{os.getpid()}.partial.parquet").touch()
        (folder / "notes.txt").touch()
    analyze_inputs([clip], tmp_path / "out", settings=HAAR)
    assert files_in(tmp_path / "out") == {"a", "notes.txt", BATCH_FILE}
    assert files_in(tmp_path / "out" / "a") == TABLES | {"notes.txt"}


def test_entries_of_earlier_runs_stay(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    analyze_inputs([*clips, tmp_path / "missing.mp4"], tmp_path / "out", settings=HAAR)
    analyze_inputs(clips[:1], tmp_path / "out", settings=HAAR)
    value = json.loads((tmp_path / "out" / BATCH_FILE).read_text())
    assert {Path(entry["path"]).name: entry["status"] for entry in value["inputs"]} == {
        "b.mp4": "done",
        "missing.mp4": "failed",
        "a.mp4": "skipped",
    }
    assert value["counts"]["inputs"] == 3
    assert value["last_run"] == {
        "inputs": 1,
        "done": 0,
        "skipped": 1,
        "damaged": 0,
        "failed": 0,
    }


def test_a_failure_half_way_leaves_no_half_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "a.mp4")

    def fail(*_: object, **__: object) -> None:
        raise OutputError("expected room on the disk; got none; free some")

    monkeypatch.setattr("emotrace.analysis.one_input.write_webvtt", fail)
    report = analyze_inputs(
        [clip], tmp_path / "out", settings=HAAR, outputs=OutputChoice(subtitles=True)
    )
    assert report.failed[0].error == "expected room on the disk; got none; free some"
    assert not (tmp_path / "out" / "a").exists()


def test_another_input_of_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    for parent in ("one", "two"):
        (tmp_path / parent).mkdir()
    first = write_clip(tmp_path / "one" / "a.mp4")
    second = write_clip(tmp_path / "two" / "a.mp4", frames=5)
    analyze_inputs([first], tmp_path / "out", settings=HAAR)
    report = analyze_inputs([second], tmp_path / "out", settings=HAAR)
    assert report.failed[0].error is not None
    assert "it holds those of" in report.failed[0].error
    replaced = analyze_inputs([second], tmp_path / "out", settings=HAAR, overwrite=True)
    assert replaced.done


def test_an_output_folder_that_cannot_be_is_said_at_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another"):
        analyze_inputs([clip], tmp_path / "file" / "out", settings=HAAR)


def test_saved_results_load_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    report = analyze_inputs([clip], tmp_path / "out", settings=HAAR)
    folder = report.done[0].folder
    assert folder is not None
    assert len(emotrace.Timeline.load(folder)) == 12


def test_filled_values_are_a_table_of_their_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    outputs = OutputChoice(csv=True, filled=True)
    report = analyze_inputs([clip], tmp_path / "out", settings=HAAR, outputs=outputs)
    folder = report.done[0].folder
    assert folder is not None
    extra = {"timeline.csv", "segments.csv", "filled.parquet", "filled.csv"}
    assert files_in(folder) == TABLES | extra
    assert json.loads((folder / "summary.json").read_text())["filled"] == {
        "rows": 0, "filled_rows": 0,
    }  # fmt: skip
    again = analyze_inputs([clip], tmp_path / "out", settings=HAAR, outputs=outputs)
    assert again.skipped
    bias = AffectPostProcessing(valence=PostProcessing(rate_hz=25.0, bias=0.1))
    changed = replace(HAAR, post_processing=bias)
    assert analyze_inputs([clip], tmp_path / "out", settings=changed, outputs=outputs).done
