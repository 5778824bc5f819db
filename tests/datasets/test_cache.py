"""Reading a cache: any rows in any order, policies, and what training needs of it."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.datasets import cache as cache_module
from emotrace.datasets.cache import CropCache, open_cache
from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings, prepare_dataset
from emotrace.datasets.protocols import random_split, subject_holdout
from emotrace.datasets.records import ClipRecord, make_frame_labels
from emotrace.datasets.windows import WindowSettings
from emotrace.errors import DatasetError, UsageError
from emotrace.faces import CropGeometry
from tests.datasets.clips import KnowingDetector, use_detector, write_clip
from tests.faces.scene import anna

SETTINGS = PrepareSettings(
    cropping=CropSettings(crop=CropGeometry(size_px=20), detector="none"), workers=1
)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[ClipRecord]:
    """Five clips of 3 to 7 moving pictures, of three people; the last repeats the first's."""
    root = tmp_path_factory.mktemp("data")
    made = [
        write_clip(
            root / f"clip{number}",
            3 + number,
            people=[anna(seed=number, step_xy=(3.0, 1.0))],
            subject=f"s{number % 3}",
            emotion="fear" if number % 2 else None,
        )
        for number in range(4)
    ]
    labels = make_frame_labels(np.arange(3), emotion=np.array([-1, 5, 5], np.int8))
    twin = replace(made[0], clip_id="twin", subject="s9", frame_labels=labels)
    return [*made, twin]


@pytest.fixture(scope="module")
def cache(records: list[ClipRecord], tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    out = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emotrace.datasets.units.PICTURES_PER_SHARD", 8)
        prepare_dataset(records, out, settings=SETTINGS)
    return open_cache(out)


@pytest.fixture(scope="module")
def all_crops(cache: CropCache) -> np.ndarray:
    """Every crop, read one by one from the shards' own files."""
    crops = []
    for row in range(len(cache.frames)):
        key = cache.manifest["shards"][int(cache._shard[row])]
        crops.append(np.load(cache.folder / "shards" / f"{key}.npy")[int(cache._crop[row])])
    return np.stack(crops)


@given(rows=st.lists(st.integers(0, 20), max_size=40))
@settings(max_examples=60)
def test_any_rows_in_any_order(cache: CropCache, all_crops: np.ndarray, rows: list[int]) -> None:
    assert len(all_crops) == 3 + 4 + 5 + 6 + 3
    np.testing.assert_array_equal(cache.read(rows), all_crops[np.array(rows, np.int64)])


def test_windows_are_stretches_of_one_clip(cache: CropCache, all_crops: np.ndarray) -> None:
    windows = cache.windows(WindowSettings(length=3, target_offset=1))
    assert [cache.frames.clip[at] for at in windows.first] == [1, 2, 2, 3, 3, 3]
    read = cache.read_windows(windows.first, 3)
    assert read.shape == (6, 3, 20, 20, 3)
    np.testing.assert_array_equal(read, all_crops[windows.rows()])
    assert (windows.target == windows.last + 1).all()


def test_few_open_maps_are_enough(
    cache: CropCache, all_crops: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_OPEN_MAPS", 1)
    fresh = open_cache(cache.folder)
    order = np.random.default_rng(0).permutation(len(all_crops))
    np.testing.assert_array_equal(fresh.read(order), all_crops[order])
    assert len(fresh._maps) == 1


def test_a_cache_travels_to_other_processes(cache: CropCache, all_crops: np.ndarray) -> None:
    cache.read([0, 20])
    data = pickle.dumps(cache)
    assert len(data) < 20_000
    np.testing.assert_array_equal(pickle.loads(data).read([3, 20]), all_crops[[3, 20]])  # noqa: S301


def test_a_frames_label_comes_before_its_clips(cache: CropCache) -> None:
    labels = cache.emotion_labels()
    assert labels[cache.frames.clip == 1].tolist() == [3] * 4
    assert labels[cache.frames.clip == 2].tolist() == [-1] * 5
    assert labels[cache.frames.clip == 4].tolist() == [-1, 5, 5]


def test_clips_as_items_tell_of_equal_pictures(cache: CropCache) -> None:
    items = cache.clip_items()
    assert items.labels is not None
    assert items.labels.tolist() == [-1, 3, -1, 3, 5]
    assert items.subject_names == ("s0", "s1", "s2", "s9")
    for seed in range(4):
        split = subject_holdout(items, validation_share=0.5, seed=seed)
        sides = {name: set(split.sides[name].tolist()) for name in ("train", "validation")}
        found = [leak for leak in split.leaks() if leak.kind == "duplicate"]
        together = any({0, 4} <= side for side in sides.values())
        assert bool(found) == (not together)
        if found:
            assert found[0].count == 3
            assert split.without_shared_pictures().leaks() == []


def test_windows_as_items_tell_of_overlaps(cache: CropCache) -> None:
    windows = cache.windows(WindowSettings(length=3)).select(np.arange(11) < 10)
    items = cache.window_items(windows)
    split = random_split(items, shares=(0.5, 0.5, 0.0), seed=1)
    assert {"window", "subject", "duplicate"} >= {leak.kind for leak in split.leaks()}
    assert "window" in {leak.kind for leak in split.leaks()}
    assert items.item_ids[1] == "clip1:1:0"
    # By clip, no window is torn.
    by_clip = subject_holdout(cache.clip_items(), seed=3).without_shared_pictures()
    in_train = np.isin(cache.frames.clip[windows.first], by_clip.train)
    assert 0 < in_train.sum() < len(windows)


def test_clips_with_a_missed_face_can_be_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_detector(monkeypatch, KnowingDetector({0: ()}))
    first = write_clip(tmp_path / "first", 5)  # its frame 0 shows nobody
    later = write_clip(tmp_path / "later", 5)
    numbered = later.media
    assert isinstance(numbered, tuple)
    later = replace(later, media=numbered[1:], media_frame_index=np.arange(1, 5))
    chosen = replace(
        SETTINGS,
        cropping=replace(SETTINGS.cropping, detector="auto"),
        missing_faces="drop_clip",
    )
    prepare_dataset([first, later], tmp_path / "cache", settings=chosen)
    kept = open_cache(tmp_path / "cache", missing_faces="break")
    assert kept.has_crop.tolist() == [False] + [True] * 8
    dropped = open_cache(tmp_path / "cache")
    assert dropped.clip_ids == ["later"]
    assert dropped.frames.clip.tolist() == [0] * 4
    np.testing.assert_array_equal(dropped.read(np.arange(4)), kept.read(np.arange(5, 9)))
    assert len(kept.windows(WindowSettings(length=4))) == 2
    assert len(dropped.windows(WindowSettings(length=4))) == 1
    with pytest.raises(UsageError, match=r"row 0 of .* \(frame 0 of first\) has none"):
        kept.read([1, 0])
    with pytest.raises(UsageError, match="'break' or 'drop_clip'"):
        open_cache(tmp_path / "cache", missing_faces="forget")  # type: ignore[arg-type]


def test_rows_that_do_not_exist(cache: CropCache) -> None:
    with pytest.raises(UsageError, match="rows from 0 to 20"):
        cache.read([21])
    with pytest.raises(UsageError, match="rows from 0 to 20"):
        cache.read([-1])
    with pytest.raises(UsageError, match=r"shape \(k,\)"):
        cache.read([[1]])
    assert cache.read([]).shape == (0, 20, 20, 3)


def test_columns_cannot_be_written_to(cache: CropCache) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cache.frames.valence[0] = 1


def test_what_is_no_finished_cache_is_refused(tmp_path: Path, cache: CropCache) -> None:
    with pytest.raises(DatasetError, match=r"with cache\.json; got: No such file"):
        open_cache(tmp_path)
    manifest = dict(cache.manifest)
    (tmp_path / "cache.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(DatasetError, match=r"of format 1 in .*; got 99"):
        open_cache(tmp_path)
    (tmp_path / "cache.json").write_text(json.dumps({**manifest, "state": "incomplete"}))
    with pytest.raises(DatasetError, match="was interrupted"):
        open_cache(tmp_path)
    (tmp_path / "cache.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"clips\.arrow"):
        open_cache(tmp_path)
    (tmp_path / "clips.arrow").write_bytes(b"ARROW1 no more")
    with pytest.raises(DatasetError, match=r"clips\.arrow"):
        open_cache(tmp_path)
    for name in ("clips.arrow", "frames.arrow"):
        (tmp_path / name).write_bytes((cache.folder / name).read_bytes())
    with pytest.raises(DatasetError, match=r"expected the crops of a shard in .*\.npy"):
        open_cache(tmp_path).read([0])
