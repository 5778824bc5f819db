"""Preparing a cache: what is found, what is lost, and that no moment to be killed is a bad one."""

from __future__ import annotations

import csv
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from emotrace.datasets import assembly, prepare, units
from emotrace.datasets.cache import open_cache
from emotrace.datasets.cropping import CropSettings, subject_tracks
from emotrace.datasets.media import read_picture
from emotrace.datasets.prepare import PrepareProgress, PrepareSettings, prepare_dataset
from emotrace.datasets.records import ClipRecord, make_frame_labels
from emotrace.datasets.shards import PixelWriter
from emotrace.datasets.windows import WindowSettings
from emotrace.errors import DatasetError, UsageError
from emotrace.faces import CropGeometry, extract_crop
from emotrace.timeline import Detection, FaceSource, TrackedFace
from tests.conftest import REPOSITORY
from tests.datasets.clips import (
    KnowingDetector,
    assert_same_content,
    prepare_slow_records,
    use_detector,
    write_clip,
)
from tests.faces.scene import anna, ben
from tests.video.recordings import Recording

ONE_WORKER = PrepareSettings(cropping=CropSettings(crop=CropGeometry(size_px=32)), workers=1)
WHOLE = PrepareSettings(
    cropping=CropSettings(crop=CropGeometry(size_px=32), detector="none"), workers=1
)


# --- what is found -------------------------------------------------------------------------------


def test_crops_boxes_times_and_labels_are_those_of_the_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = KnowingDetector({3: ()})
    use_detector(monkeypatch, detector)
    walking = anna(step_xy=(2.0, 0.0))
    detector.faces = dict.fromkeys(range(8), (walking,))
    labels = make_frame_labels(
        np.arange(2, 12),
        valence=np.linspace(-1, 1, 10).astype(np.float32),
        arousal=np.zeros(10, np.float32),
        emotion=np.full(10, 4, np.int8),
        action_units={6: np.ones(10, np.float32)},
        votes=np.tile(np.arange(10, dtype=np.int16), (10, 1)),
    )
    record = write_clip(
        tmp_path / "data" / "walk", 8, people=[walking], subject="anna", frame_labels=labels
    )
    report = prepare_dataset([record], tmp_path / "cache", settings=ONE_WORKER)
    cache = open_cache(tmp_path / "cache")
    frames = cache.frames
    assert frames.frame.tolist() == list(range(8))
    np.testing.assert_allclose(frames.timestamp_seconds, np.arange(8) / 25)
    assert frames.box_xywh_px.tolist() == [list(walking.box(number)) for number in range(8)]
    np.testing.assert_allclose(frames.face_score, 0.9)
    assert frames.face_id.tolist() == [1] * 8
    # Labels find their frames; those of frames 8 to 11 have none.
    np.testing.assert_array_equal(frames.emotion, [-1, -1, 4, 4, 4, 4, 4, 4])
    np.testing.assert_allclose(frames.valence[2:], np.linspace(-1, 1, 10)[:6], rtol=1e-6)
    assert np.isnan(frames.valence[:2]).all()
    np.testing.assert_array_equal(frames.action_units["au_06"], [np.nan] * 2 + [1] * 6)
    assert frames.votes is not None
    np.testing.assert_array_equal(frames.votes[:, 3], [-1, -1, 3, 3, 3, 3, 3, 3])
    assert report.unmatched_label_count == 4
    # The crops are those that analysing would make.
    assert isinstance(record.media, tuple)
    for number, crop in enumerate(cache.read(np.arange(8))):
        image = read_picture(record.media[number])
        expected = extract_crop(
            image,
            walking.detection(number),
            mapping=detector.canonical,
            geometry=CropGeometry(size_px=32),
        )
        np.testing.assert_array_equal(crop, expected)


def test_a_missed_face_is_a_gap_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_detector(monkeypatch, KnowingDetector(dict.fromkeys([0, 1, 9, 10, 11], ())))
    monkeypatch.setattr("emotrace.faces.follower.FaceTracker", PlainTracker)
    seen = write_clip(tmp_path / "gaps", 12)
    report = prepare_dataset([seen], tmp_path / "c1", settings=ONE_WORKER)
    assert (report.frame_count, report.face_count, report.missed_count) == (12, 7, 5)
    assert (report.clips_with_gaps, report.longest_gap) == (1, 3)
    cache = open_cache(tmp_path / "c1")
    assert cache.has_crop.tolist() == [False] * 2 + [True] * 7 + [False] * 3
    assert cache.clips["gap_count"] == [2]
    with (tmp_path / "c1" / "losses.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["clip_id"], row["missed_count"], row["longest_gap"]) == ("gaps", "5", "3")

    use_detector(monkeypatch, KnowingDetector())
    whole = write_clip(tmp_path / "whole", 6)
    report = prepare_dataset([whole], tmp_path / "c2", settings=ONE_WORKER)
    assert report.missed_count == report.clips_with_gaps == 0
    assert (tmp_path / "c2" / "losses.csv").read_text().count("\n") == 1


class PlainTracker:
    """Takes every detection for the same person and follows nobody by flow."""

    def update(
        self, _image: object, detections: list[Detection] | None, **_: object
    ) -> list[TrackedFace]:
        return [
            TrackedFace(face_id=1, detection=detection, source=FaceSource.DETECTED)
            for detection in detections or []
        ]


def test_a_face_that_flow_followed_is_no_gap_but_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_detector(monkeypatch, KnowingDetector(dict.fromkeys([4, 5], ())))
    record = write_clip(tmp_path / "clip", 8)
    report = prepare_dataset([record], tmp_path / "cache", settings=ONE_WORKER)
    assert (report.face_count, report.missed_count, report.tracked_count) == (8, 0, 2)
    cache = open_cache(tmp_path / "cache")
    assert np.flatnonzero(cache.frames.face_source == 2).tolist() == [4, 5]
    window = WindowSettings(length=3)
    assert len(cache.windows(window)) == 6
    assert cache.windows(window, detected_only=True).first.tolist() == [0, 1]
    with pytest.raises(DatasetError, match="without a missed face; all 1 miss some"):
        open_cache(tmp_path / "cache", missing_faces="drop_clip", detected_only=True)


def test_labels_are_about_the_subject_not_about_passers_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, other = anna(size=44), ben(size=30)
    people = {number: (subject, other) if number >= 3 else (subject,) for number in range(8)}
    use_detector(monkeypatch, KnowingDetector(people))
    labels = make_frame_labels(np.arange(8), emotion=np.full(8, 6, np.int8))
    record = write_clip(tmp_path / "two", 8, people=[subject, other], frame_labels=labels)

    report = prepare_dataset([record], tmp_path / "one", settings=ONE_WORKER)
    cache = open_cache(tmp_path / "one")
    assert report.other_face_count == 5
    assert cache.frames.frame.tolist() == list(range(8))
    assert (cache.frames.box_xywh_px[:, 2] == 44).all()
    assert (cache.frames.emotion == 6).all()

    everybody = replace(ONE_WORKER, cropping=replace(ONE_WORKER.cropping, faces="all"))
    prepare_dataset([record], tmp_path / "all", settings=everybody)
    both = open_cache(tmp_path / "all")
    assert len(both.frames) == 13
    mine = both.frames.is_subject
    assert (both.frames.emotion == np.where(mine, 6, -1)).all()
    # The subject's crops are the same, and each face's rows lie together.
    np.testing.assert_array_equal(
        both.read(np.flatnonzero(mine)), cache.read(np.arange(len(cache.frames)))
    )
    assert both.frames.frame[~mine].tolist() == [3, 4, 5, 6, 7]
    assert len(both.windows(WindowSettings(length=5))) == 4 + 1


def test_the_subject_is_the_most_prominent_and_may_have_several_tracks() -> None:
    face = np.repeat([1, 2, 3, 4], [10, 8, 10, 5])
    frame = np.concatenate([np.arange(10), np.arange(4, 12), np.arange(12, 22), np.arange(30, 35)])
    # 2 overlaps 1; 3 takes over from 1 after a cut; 4 is a speck in the background.
    side = np.repeat([100.0, 90.0, 80.0, 12.0], [10, 8, 10, 5])
    assert subject_tracks(face, frame, side) == {1, 3}
    assert subject_tracks(np.empty(0, int), np.empty(0, int), np.empty(0)) == set()


def test_videos_keep_their_true_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.12, 0.5, 0.54]
    path = Recording(times=times).write(tmp_path / "clip.mp4")
    record = ClipRecord(clip_id="v", dataset="d", media=path)
    prepare_dataset([record], tmp_path / "cache", settings=WHOLE)
    frames = open_cache(tmp_path / "cache").frames
    np.testing.assert_allclose(frames.timestamp_seconds, times, atol=1e-3)


def test_labels_can_be_matched_by_time(tmp_path: Path) -> None:
    # The recorder lost two frames: by number, labels would slip by two.
    times = [0.0, 0.04, 0.16, 0.20, 0.24]
    path = Recording(times=times).write(tmp_path / "clip.mp4")
    labels = make_frame_labels(
        np.arange(7),
        timestamp_seconds=np.linspace(0, 0.24, 7),
        valence=(np.arange(7) / 10).astype(np.float32),
    )
    record = ClipRecord(clip_id="v", dataset="d", media=path, frame_labels=labels)
    for match, expected, lost in (
        ("time", [0.0, 0.1, 0.4, 0.5, 0.6], 2),
        ("frame", [0.0, 0.1, 0.2, 0.3, 0.4], 2),
    ):
        settings = replace(WHOLE, match_labels=match)  # type: ignore[arg-type]
        report = prepare_dataset([record], tmp_path / match, settings=settings)
        found = open_cache(tmp_path / match).frames.valence
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert report.unmatched_label_count == lost


def test_pictures_keep_their_frame_numbers_and_have_no_made_up_times(tmp_path: Path) -> None:
    record = write_clip(
        tmp_path / "peak",
        4,
        media_frame_index=np.array([0, 11, 12, 13]),
        frame_rate=None,
    )
    prepare_dataset([record], tmp_path / "cache", settings=WHOLE)
    cache = open_cache(tmp_path / "cache")
    assert cache.frames.frame.tolist() == [0, 11, 12, 13]
    assert np.isnan(cache.frames.timestamp_seconds).all()
    assert cache.windows(WindowSettings(length=3)).first.tolist() == [1]


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    records = [write_clip(tmp_path / f"clip{number}", 5) for number in range(3)]
    path = Recording(times=[0.0, 0.04, 0.08]).write(tmp_path / "clip.mp4")
    records.insert(1, ClipRecord(clip_id="video", dataset="d", media=path))
    prepare_dataset(records, tmp_path / "one", settings=WHOLE)
    prepare_dataset(records, tmp_path / "two", settings=replace(WHOLE, workers=2))
    assert_same_content(tmp_path / "one", tmp_path / "two")


def test_grey_crops_have_one_channel(tmp_path: Path) -> None:
    record = write_clip(tmp_path / "clip", 3)
    grey = replace(WHOLE, cropping=replace(WHOLE.cropping, color="grey"))
    prepare_dataset([record], tmp_path / "rgb", settings=WHOLE)
    prepare_dataset([record], tmp_path / "grey", settings=grey)
    colour = open_cache(tmp_path / "rgb").read([0, 1, 2])
    found = open_cache(tmp_path / "grey").read([0, 1, 2])
    assert found.shape == (3, 32, 32, 1)
    for a, b in zip(colour, found, strict=True):
        np.testing.assert_array_equal(cv2.cvtColor(a, cv2.COLOR_RGB2GRAY), b[:, :, 0])


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_clip_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    records = [write_clip(tmp_path / f"clip{number}", 3) for number in range(3)]
    assert isinstance(records[1].media, tuple)
    broken = records[1].media[1]
    whole = broken.read_bytes()
    broken.write_bytes(b"no picture")
    report = prepare_dataset(records, tmp_path / "cache", settings=WHOLE)
    assert report.clip_count == 2
    ((clip, error),) = report.failures
    assert clip == "clip1"
    assert str(broken) in error
    cache = open_cache(tmp_path / "cache")
    assert cache.clip_ids == ["clip0", "clip2"]
    assert len(cache.read(np.arange(6))) == 6
    # Repaired, the same call makes it whole.
    broken.write_bytes(whole)
    assert not prepare_dataset(records, tmp_path / "cache", settings=WHOLE).failures
    assert open_cache(tmp_path / "cache").clip_ids == ["clip0", "clip1", "clip2"]


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    record = ClipRecord(clip_id="x", dataset="d", media=tmp_path / "gone.mp4")
    with pytest.raises(DatasetError, match=r"none can; the first: .*gone\.mp4"):
        prepare_dataset([record], tmp_path / "cache", settings=WHOLE)
    with pytest.raises(DatasetError, match="got none"):
        prepare_dataset([], tmp_path / "cache", settings=WHOLE)
    with pytest.raises(UsageError, match="'x' occurs 2 times"):
        prepare_dataset([record, record], tmp_path / "cache", settings=WHOLE)


def test_another_caches_folder_is_not_overwritten_unasked(tmp_path: Path) -> None:
    record = write_clip(tmp_path / "clip", 2)
    prepare_dataset([record], tmp_path / "cache", settings=WHOLE)
    other = replace(WHOLE, cropping=replace(WHOLE.cropping, crop=CropGeometry(size_px=16)))
    with pytest.raises(DatasetError, match=r"'size_px': 32.* instead of .*'size_px': 16"):
        prepare_dataset([record], tmp_path / "cache", settings=other)
    assert open_cache(tmp_path / "cache").crop_shape == (32, 32, 3)
    prepare_dataset([record], tmp_path / "cache", settings=other, overwrite=True)
    assert open_cache(tmp_path / "cache").crop_shape == (16, 16, 3)
    assert len(list((tmp_path / "cache" / "shards").iterdir())) == 2
    (tmp_path / "cache" / "cache.json").write_text("{")
    with pytest.raises(DatasetError, match="expected the description of a crop cache"):
        prepare_dataset([record], tmp_path / "cache", settings=other)


# --- going on ------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again_but_labels_are_fresh(tmp_path: Path) -> None:
    records = [write_clip(tmp_path / f"clip{number}", 3, emotion="fear") for number in range(2)]
    out = tmp_path / "cache"
    prepare_dataset(records, out, settings=WHOLE)
    before = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    corrected = [replace(record, emotion="anger") for record in records]
    report = prepare_dataset(corrected, out, settings=WHOLE)
    assert report.clips_done_before == 2
    assert {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()} == before
    assert open_cache(out).clips["emotion"] == ["anger", "anger"]


def test_a_changed_file_is_done_again_and_its_old_shard_goes(tmp_path: Path) -> None:
    record = write_clip(tmp_path / "clip", 3)
    out = tmp_path / "cache"
    prepare_dataset([record], out, settings=WHOLE)
    assert isinstance(record.media, tuple)
    cv2.imwrite(str(record.media[0]), np.zeros((50, 50, 3), np.uint8))
    report = prepare_dataset([record], out, settings=WHOLE)
    assert report.clips_done_before == 0
    assert not open_cache(out).read([0]).any()
    assert len(list((out / "shards").iterdir())) == 2


def test_a_truncated_shard_is_done_again(tmp_path: Path) -> None:
    record = write_clip(tmp_path / "clip", 3)
    out = tmp_path / "cache"
    prepare_dataset([record], out, settings=WHOLE)
    (pixels,) = (out / "shards").glob("*.npy")
    os.truncate(pixels, pixels.stat().st_size - 10)
    assert prepare_dataset([record], out, settings=WHOLE).clips_done_before == 0
    assert open_cache(out).read([2]).any()


class _KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("module", "function", "call"),
    [
        (units, "crop_clip", 2),
        (units, "write_shard_rows", 1),
        (units, "write_shard_rows", 2),
        (prepare, "assemble_tables", 1),
        (assembly, "read_arrow", 2),
        (prepare, "write_arrow", 1),
        (prepare, "write_arrow", 2),
        (prepare, "write_losses", 1),
        (prepare, "_write_manifest", 1),
        (prepare, "_write_manifest", 2),
        (prepare, "_remove_stale", 1),
    ],
)
@pytest.mark.parametrize("run", ["first", "again"])
def test_no_moment_to_end_is_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, function: str, call: int, run: str
) -> None:
    """Die just before the n-th call of every step that leaves something behind; then go on."""
    monkeypatch.setattr(units, "PICTURES_PER_SHARD", 3)
    records = [write_clip(tmp_path / f"clip{number}", 3) for number in range(3)]
    out = tmp_path / "cache"
    if run == "again":  # with a finished cache, one clip of which is another now
        prepare_dataset(records[:2], out, settings=WHOLE)
        (tmp_path / "clip0" / "0001.png").write_bytes((tmp_path / "clip0/0002.png").read_bytes())
    real, calls = getattr(module, function), 0

    def die(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise _KilledError
        return real(*args, **kwargs)

    monkeypatch.setattr(module, function, die)
    with pytest.raises(_KilledError):
        prepare_dataset(records, out, settings=WHOLE)
    monkeypatch.setattr(module, function, real)
    # What a process that is really killed leaves and ours, which unwinds, does not.
    (out / "shards" / ".0123.99.partial.npy").write_bytes(b"half")
    is_complete = (out / "cache.json").exists() and '"complete"' in (out / "cache.json").read_text()
    if is_complete:
        open_cache(out).read([0])
    elif (out / "cache.json").exists():
        with pytest.raises(DatasetError, match="was interrupted"):
            open_cache(out)
    prepare_dataset(records, out, settings=WHOLE)
    prepare_dataset(records, tmp_path / "clean", settings=WHOLE)
    assert_same_content(out, tmp_path / "clean")
    assert len(list((out / "shards").iterdir())) == 6
    assert not list(out.rglob("*.partial*"))


CHILD = """
import multiprocessing, sys
from pathlib import Path
from tests.datasets.clips import prepare_slow_records

def tell(progress):
    workers = [process.pid for process in multiprocessing.active_children()]
    print(progress.clips_done, *workers, flush=True)

prepare_slow_records(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), 2, tell)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_killed_for_real_nothing_is_lost_nothing_is_done_twice_nobody_stays(
    tmp_path: Path,
) -> None:
    count, out = 30, tmp_path / "cache"
    done_before = 0
    finished: dict[Path, int] = {}
    for kill_after in (4, 13):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(out), str(count)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        workers: set[int] = set()
        for line in child.stdout:
            done, *pids = map(int, line.split())
            workers.update(pids)
            if done >= kill_after:
                child.send_signal(signal.SIGKILL)
                break
        child.stdout.close()
        child.wait()
        assert done_before <= done < count
        assert len(workers) == 2
        until = time.monotonic() + 20
        while any(map(is_running, workers)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(is_running, workers))
        rows = {path: path.stat().st_mtime_ns for path in (out / "shards").glob("[!.]*.arrow")}
        # Nothing that was finished has been touched again, and what was told as done is there.
        assert {path: rows[path] for path in finished} == finished
        assert len(rows) >= done
        finished, done_before = rows, done
        with pytest.raises(DatasetError, match="was interrupted"):
            open_cache(out)
    last = prepare_slow_records(tmp_path, out, count, 1)
    assert last.clips_done_before == len(finished)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    prepare_slow_records(tmp_path, tmp_path / "clean", count, 1)
    assert_same_content(out, tmp_path / "clean")
    assert open_cache(out).clip_ids == [f"clip{number}" for number in range(count)]


def test_progress_goes_from_what_was_done_to_all(tmp_path: Path) -> None:
    records = [write_clip(tmp_path / f"clip{number}", 2) for number in range(2)]
    told: list[PrepareProgress] = []
    prepare_dataset(records, tmp_path / "cache", settings=WHOLE, progress=told.append)
    assert [(item.clips_done, item.clips_total) for item in told] == [(0, 2), (2, 2)]
    prepare_dataset(records, tmp_path / "cache", settings=WHOLE, progress=told.append)
    assert told[-1].clips_done == 2


# --- the pieces ----------------------------------------------------------------------------------


def test_pixels_are_taken_out_again_in_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (9, 4, 5, 3), np.uint8)
    kept = np.array([True, False, False, True, True, False, True])
    with PixelWriter(tmp_path / "x.npy", (4, 5, 3)) as writer:
        assert [writer.append(crop) for crop in crops] == list(range(9))
        writer.keep(2, kept)
        assert writer.append(crops[0]) == 6
    found = np.load(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, crops[[0, 1, 2, 5, 6, 8, 0]])


def test_records_without_labels_travel_to_workers() -> None:
    labels = make_frame_labels(np.arange(10_000), frame_rate=25.0)
    record = ClipRecord(clip_id="x", dataset="d", media=Path("x.mp4"), frame_labels=labels)
    (unit,) = units.plan_units([record], CropSettings())
    assert len(pickle.dumps(unit)) < 2000


def test_the_description_says_how_the_cache_was_made(tmp_path: Path) -> None:
    prepare_dataset([write_clip(tmp_path / "clip", 2)], tmp_path / "cache", settings=WHOLE)
    manifest = json.loads((tmp_path / "cache" / "cache.json").read_text())
    assert manifest["state"] == "complete"
    assert manifest["cropping"]["crop"]["size_px"] == 32
    assert manifest["report"]["frame_count"] == 2
    assert manifest["datasets"] == ["drawn"]


@pytest.mark.parametrize("values", [{"detect_every": 0}, {"color": "bgr"}, {"faces": "none"}])
def test_settings_that_cannot_work(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        CropSettings(**values)
    with pytest.raises(UsageError, match="workers"):
        PrepareSettings(workers=-1)


@pytest.mark.shared
def test_real_clips_lose_what_has_no_face(
    tmp_path: Path, clips_folder: Path, yunet_home: Path
) -> None:
    # The man is in the second 73 frames, but for the last one, which is blank.
    records = [
        ClipRecord(clip_id=name, dataset="clips", media=clips_folder / name)
        for name in ("noface_face.mov", "no_face.mp4")
    ]
    settings = replace(
        ONE_WORKER, cropping=replace(ONE_WORKER.cropping, detector="yunet", detect_every=3)
    )
    report = prepare_dataset(records, tmp_path / "cache", settings=settings)
    cache = open_cache(tmp_path / "cache")
    assert cache.clips["frame_count"] == [169, 95]
    assert report.clips_without_face == 1
    seen = cache.frames.frame[cache.has_crop]
    assert seen.min() in range(96, 100)
    assert seen.max() in range(165, 169)
    assert len(seen) >= 68
    assert np.diff(cache.frames.timestamp_seconds[:169]).max() < 0.05
