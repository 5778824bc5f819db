from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotrace.analysis.segments import SegmentSettings, add_smoothed_columns
from emotrace.analysis.smoothing import SmoothingSettings
from emotrace.analysis.summary import summarize
from emotrace.analysis.tables import (
    Timeline,
    TimelineTableWriter,
    to_openface,
    to_pyfeat,
    write_csv,
    write_json,
)
from emotrace.errors import InputError, OutputError, UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import SEGMENT_SCHEMA, TIMELINE_SCHEMA, results_to_table
from tests.analysis.timelines import make_facts, make_results, make_table, probabilities_of

if TYPE_CHECKING:
    from pathlib import Path

HAPPY, SAD = probabilities_of("happiness"), probabilities_of("sadness")


def make_timeline(*, segmentation: SegmentSettings | None = None) -> Timeline:
    faces = [{1: HAPPY}] * 10 + [{1: SAD, 2: HAPPY}] * 10 + [{}] * 5
    table = make_table([0.1 * i for i in range(25)], faces)
    facts = make_facts(frame_count=25, duration_seconds=2.5)
    summary = summarize(table, facts, settings={}, bundle={}, detector="haar")
    return Timeline(
        table=table,
        facts=facts,
        summary=summary,
        segmentation=segmentation or SegmentSettings(),
    )


# --- the streaming writer


@pytest.mark.parametrize("row_group_rows", [1, 7, 10_000])
def test_streamed_table_is_the_table(tmp_path: Path, row_group_rows: int) -> None:
    results = make_results(
        [0.1 * i for i in range(50)], [{1: HAPPY, 2: SAD} if i % 3 else {} for i in range(50)]
    )
    path = tmp_path / "timeline.parquet"
    with TimelineTableWriter(path, row_group_rows=row_group_rows) as writer:
        for result in results:
            writer.write(result)
            assert not path.exists()
    assert writer.frame_count == 50
    assert pq.read_table(path).equals(results_to_table(results))
    assert pq.read_schema(path).metadata[b"emotrace.schema_version"] == b"1"
    assert (pq.ParquetFile(path).num_row_groups == 1) == (row_group_rows > 83)
    assert list(tmp_path.iterdir()) == [path]


def test_memory_held_back_is_bounded(tmp_path: Path) -> None:
    with TimelineTableWriter(tmp_path / "t.parquet", row_group_rows=8) as writer:
        for result in make_results([float(i) for i in range(100)], [{1: HAPPY, 2: SAD}] * 100):
            writer.write(result)
            assert len(writer._rows) < 8


def test_no_frames_make_an_empty_table(tmp_path: Path) -> None:
    path = TimelineTableWriter(tmp_path / "t.parquet").close()
    assert pq.read_table(path).schema.equals(TIMELINE_SCHEMA)


def test_an_exception_leaves_nothing_behind_and_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"old")

    def fail_midway() -> None:
        with TimelineTableWriter(path, row_group_rows=1) as writer:
            writer.write(make_results([0.0], [{}])[0])
            raise KeyError("anything")

    with pytest.raises(KeyError, match="anything"):
        fail_midway()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_system_errors_become_output_errors(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected to write"):
        TimelineTableWriter(tmp_path / "nowhere" / "t.parquet")
    result = make_results([0.0], [{}])[0]
    writer = TimelineTableWriter(tmp_path / "t.parquet", row_group_rows=1)
    full = OSError(28, "No space left on device")
    with (
        mock.patch.object(writer._writer, "write_table", side_effect=full),
        pytest.raises(OutputError, match="No space left on device; free some space"),
    ):
        writer.write(result)
    with pytest.raises(OutputError, match="already closed"):
        writer.write(result)
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    writer = TimelineTableWriter(tmp_path / "t.parquet")
    assert writer.close() == writer.close()
    with pytest.raises(UsageError, match="row_group_rows of at least 1; got 0"):
        TimelineTableWriter(tmp_path / "t.parquet", row_group_rows=0)


# --- the timeline


def test_a_timeline_knows_its_frames_faces_and_segments() -> None:
    timeline = make_timeline()
    assert len(timeline) == 25
    assert timeline.faces == (1, 2)
    assert [(s.face_id, s.emotion) for s in timeline.segments()] == [
        (1, "happiness"),
        (1, "sadness"),
        (2, "happiness"),
    ]
    frame = timeline.to_pandas()
    assert list(frame.columns) == TIMELINE_SCHEMA.names
    assert frame.face_id.dtype == pd.Int32Dtype()
    assert frame.face_id.isna().sum() == 5
    segments = timeline.segments_to_pandas()
    assert list(segments.columns) == SEGMENT_SCHEMA.names
    assert segments.face_id.tolist() == [1, 1, 2]


def test_shot_cuts_and_the_true_end_reach_the_segments() -> None:
    table = make_table([0.0, 0.1, 0.2, 0.3], [{1: HAPPY}] * 4)
    facts = make_facts(frame_count=4, duration_seconds=1.3)
    summary = summarize(
        table, facts, settings={}, bundle={}, detector="haar", cut_timestamps_seconds=[0.2]
    )
    segments = Timeline(table=table, facts=facts, summary=summary).segments()
    assert [(s.start_seconds, s.end_seconds) for s in segments] == [(0.0, 0.2), (0.2, 1.3)]


@pytest.mark.parametrize(
    "segmentation",
    [
        SegmentSettings(),
        SegmentSettings(smoothing=None, min_duration_seconds=0.0),
        SegmentSettings(smoothing=SmoothingSettings(window_seconds=0.2)),
    ],
)
def test_saved_and_loaded_it_is_the_same(tmp_path: Path, segmentation: SegmentSettings) -> None:
    timeline = make_timeline(segmentation=segmentation)
    folder = timeline.save(tmp_path / "new" / "folder", csv=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "segments.csv",
        "segments.parquet",
        "summary.json",
        "timeline.csv",
        "timeline.parquet",
    ]
    loaded = Timeline.load(folder)
    assert loaded.table.equals(timeline.table)
    assert loaded.facts == timeline.facts
    assert loaded.summary == timeline.summary
    assert loaded.segmentation == segmentation
    assert loaded.segments() == timeline.segments()
    assert pq.read_table(folder / "segments.parquet").schema.equals(SEGMENT_SCHEMA)


def test_csv_holds_what_the_table_holds(tmp_path: Path) -> None:
    timeline = make_timeline()
    folder = timeline.save(tmp_path, csv=True)
    text = (folder / "timeline.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(TIMELINE_SCHEMA.names)
    assert ",happiness,0.8," in text
    read = pd.read_csv(folder / "timeline.csv")
    expected = timeline.to_pandas()
    for name in ("frame", "timestamp", "confidence", *EMOTIONS, "valence"):
        np.testing.assert_allclose(read[name], expected[name], rtol=1e-6)
    assert read.face_id.isna().sum() == 5


def test_smoothed_columns_survive(tmp_path: Path) -> None:
    plain = make_timeline()
    table = add_smoothed_columns(plain.table, SmoothingSettings())
    timeline = Timeline(table=table, facts=plain.facts, summary=plain.summary)
    assert Timeline.load(timeline.save(tmp_path)).table.equals(table)


def test_summary_file_has_no_nan(tmp_path: Path) -> None:
    plain = make_timeline()
    odd = {**plain.summary, "settings": {"limit": float("nan")}}
    Timeline(table=plain.table, facts=plain.facts, summary=odd).save(tmp_path)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["settings"] == {"limit": None}


def test_paths_may_be_text(tmp_path: Path) -> None:
    timeline = make_timeline()
    folder = timeline.save(f"{tmp_path}/text", csv=True)
    assert folder == tmp_path / "text"
    assert Timeline.load(f"{tmp_path}/text").table.equals(timeline.table)
    with TimelineTableWriter(f"{tmp_path}/t.parquet") as writer:
        writer.write(make_results([0.0], [{}])[0])
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 1
    assert write_json(f"{tmp_path}/a.json", {"b": 1}) == tmp_path / "a.json"
    assert write_csv(f"{tmp_path}/a.csv", timeline.table) == tmp_path / "a.csv"


def test_what_cannot_be_loaded_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not read .*timeline\.parquet"):
        Timeline.load(tmp_path)
    folder = make_timeline().save(tmp_path)
    (folder / "summary.json").write_text('{"input": {}}')
    with pytest.raises(InputError, match=r"could not read .*summary\.json") as caught:
        Timeline.load(folder)
    assert "\n" not in str(caught.value)
    (folder / "timeline.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"timeline\.parquet"):
        Timeline.load(folder)


def test_another_table_is_refused() -> None:
    plain = make_timeline()
    with pytest.raises(UsageError, match="expected column 0 of a timeline to be 'frame'"):
        Timeline(table=pa.table({"x": [1]}), facts=plain.facts, summary={})


def test_saving_where_nothing_can_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder that can be written to"):
        make_timeline().save(tmp_path / "file")
    with (
        mock.patch("emotrace.analysis.tables.pq.write_table", side_effect=OSError(28, "full")),
        pytest.raises(OutputError, match="got: full"),
    ):
        make_timeline().save(tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


# --- other tools' names


def test_openface_columns() -> None:
    frame = to_openface(make_timeline().table)
    assert list(frame.columns[:5]) == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert frame.frame.iloc[0] == 1
    assert frame.face_id.unique().tolist() == [0, 1]
    assert frame.success.sum() == 30
    without = frame[frame.success == 0]
    assert len(without) == 5
    assert (without.confidence == 0).all()
    assert frame.confidence.iloc[0] == pytest.approx(0.9)


def test_pyfeat_columns() -> None:
    frame = to_pyfeat(make_timeline().table, input_path="clip.mp4")
    assert list(frame.columns[:15]) == [
        "FaceRectX",
        "FaceRectY",
        "FaceRectWidth",
        "FaceRectHeight",
        "FaceScore",
        "anger",
        "disgust",
        "fear",
        "happiness",
        "sadness",
        "surprise",
        "neutral",
        "input",
        "frame",
        "approx_time",
    ]
    first = frame.iloc[0]
    assert first[["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"]].tolist() == [
        10.0,
        20.0,
        30.0,
        40.0,
    ]
    assert first["happiness"] == pytest.approx(0.8)
    assert (frame["approx_time"].iloc[0], frame["approx_time"].iloc[-1]) == ("00:00", "00:02")
    late = to_pyfeat(make_table([754.9], [{}]), input_path="x")
    assert late["approx_time"].tolist() == ["12:34"]
