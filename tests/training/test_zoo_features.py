"""Feature vectors: made once, gone on with, refused when stale, learned from."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotrace.datasets.cache import open_cache
from emotrace.errors import BundleError, DatasetError, UsageError
from emotrace.training import feature_cache
from emotrace.training.extractors import BundleExtractor, NetworkExtractor, load_extractor
from emotrace.training.feature_cache import extract_features, is_feature_cache, open_features
from emotrace.training.pictures import prepare_pictures
from emotrace.training.zoo.fit import fit_zoo
from tests.training.tiny_zoo import (
    IMAGE,
    SEQUENCE,
    VECTORS,
    TinyImage,
    TinyOptions,
    tiny_recipe,
    write_cache,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "PART_ROWS", 40)


def make_extractor(seed: int = 0, **options: Any) -> NetworkExtractor:
    torch.manual_seed(seed)
    chosen = TinyOptions(**options)
    return NetworkExtractor(TinyImage(chosen), chosen, name=f"tiny {seed}")


def test_every_row_has_the_vector_of_its_crop(
    cache: Path, tmp_path: Path, small_parts: None
) -> None:
    extractor = make_extractor(norm=True, dropout=0.5)
    done: list[tuple[int, int]] = []
    report = extract_features(
        extractor, cache, tmp_path, batch_size=7, progress=lambda *at: done.append(at)
    )
    assert (report.rows, report.rows_before, report.features) == (96, 0, 6)
    assert done == [(40, 96), (80, 96), (96, 96)]
    found = open_features(tmp_path, extractor=extractor)
    assert found.row_shape == (6,)
    crops = open_cache(cache)
    rows = np.random.default_rng(0).permutation(96)[:50]
    pictures = prepare_pictures(
        torch.from_numpy(crops.read(rows)).unsqueeze(1), channels=1, size_px=12
    )
    with torch.no_grad():
        expected = extractor._network.eval().features(pictures[:, 0])  # type: ignore[operator]
    np.testing.assert_allclose(found.read(rows), expected.numpy(), atol=1e-6)
    copy = pickle.loads(pickle.dumps(found))  # noqa: S301
    np.testing.assert_array_equal(copy.read(rows), found.read(rows))
    assert found.cache.clip_ids == crops.clip_ids


def test_an_extraction_goes_on_where_it_stopped(
    cache: Path, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = make_extractor()
    calls: list[int] = []
    extract = NetworkExtractor.extract

    def counting(self: NetworkExtractor, crops: np.ndarray) -> np.ndarray:
        calls.append(len(crops))
        if sum(calls) > 80:
            raise KeyboardInterrupt
        return extract(self, crops)

    with monkeypatch.context() as patch:
        patch.setattr(NetworkExtractor, "extract", counting)
        with pytest.raises(KeyboardInterrupt):
            extract_features(extractor, cache, tmp_path, batch_size=10)
    with pytest.raises(DatasetError, match="making them was interrupted: the same"):
        open_features(tmp_path)
    report = extract_features(extractor, cache, tmp_path, batch_size=10)
    assert (report.rows, report.rows_before) == (96, 80)
    whole = tmp_path / "whole"
    extract_features(extractor, cache, whole, batch_size=10)
    np.testing.assert_array_equal(
        open_features(tmp_path).read(np.arange(96)), open_features(whole).read(np.arange(96))
    )
    # Nothing is left half written.
    assert {path.name for path in (whole / "vectors").iterdir()} == {
        f"part-{number:05d}.npy" for number in range(3)
    }


def test_vectors_of_other_weights_or_other_crops_are_refused(cache: Path, tmp_path: Path) -> None:
    first, other = make_extractor(0), make_extractor(1)
    assert first.fingerprint == make_extractor(0).fingerprint
    out = tmp_path / "vectors"
    extract_features(first, cache, out)
    with pytest.raises(DatasetError, match=r"those there are another extractor's \(tiny 0\)"):
        extract_features(other, cache, out)
    with pytest.raises(
        DatasetError, match=r"expected vectors of tiny 1 in .* those there are of ti"
    ):
        open_features(out, extractor=other)
    before = open_features(out).read([0])
    extract_features(other, cache, out, overwrite=True)
    assert not np.array_equal(open_features(out).read([0]), before)
    elsewhere = write_cache(tmp_path / "less", clips=6)
    with pytest.raises(DatasetError, match="those there are of other crops"):
        extract_features(other, elsewhere, out)


def test_vectors_are_stale_once_the_caches_labels_change_and_soon_mended(
    cache: Path, tmp_path: Path
) -> None:
    import shutil

    own = tmp_path / "cache"
    shutil.copytree(cache, own)
    out = tmp_path / "vectors"
    extract_features(make_extractor(), own, out)
    manifest = json.loads((own / "cache.json").read_text())
    (own / "cache.json").write_text(json.dumps({**manifest, "note": "labels corrected"}))
    with pytest.raises(DatasetError, match=r"has changed since those in .* were made; make them"):
        open_features(out)
    report = extract_features(make_extractor(), own, out)
    assert report.rows_before == report.rows  # no crop is looked at again
    assert len(open_features(out).cache.clip_ids) == 12
    shutil.rmtree(own)  # the crops may go; the vectors stay
    assert open_features(out).read([3]).shape == (1, 6)


def test_damaged_vectors_are_refused(cache: Path, tmp_path: Path) -> None:
    assert not is_feature_cache(tmp_path)
    with pytest.raises(DatasetError, match=r"expected feature vectors in .*, with features\.json"):
        open_features(tmp_path)
    extract_features(make_extractor(), cache, tmp_path)
    part = tmp_path / "vectors" / "part-00000.npy"
    np.save(part, np.zeros((96, 5), np.float32))
    with pytest.raises(DatasetError, match=r"vectors of 6 float32 values in .*; got \(5,\)"):
        open_features(tmp_path).read([0])
    part.write_bytes(b"no array")
    with pytest.raises(DatasetError, match=r"expected feature vectors in .*part-00000\.npy"):
        open_features(tmp_path).read([0])
    record = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps({**record, "format": 9}))
    with pytest.raises(DatasetError, match=r"of format 1 in .*; got 9"):
        open_features(tmp_path)


def test_clips_with_a_missed_face_are_dropped_with_their_vectors(tmp_path: Path) -> None:
    """The rows of `drop_clip` are fewer; each must keep its own vector."""
    cache = write_cache(tmp_path / "data", clips=6)
    out = tmp_path / "vectors"
    extract_features(make_extractor(), cache, out)
    whole = open_features(out)
    # As if the second clip had missed a face.
    import pyarrow as pa

    from emotrace.datasets.shards import read_arrow, write_arrow

    clips = read_arrow(out / "clips.arrow")
    missed = pa.array([0, 1, 0, 0, 0, 0], pa.int64())
    at = clips.schema.get_field_index("missed_count")
    changed = clips.set_column(at, clips.schema.field(at), missed)
    held = pa.table([column.combine_chunks() for column in changed.columns], schema=clips.schema)
    content = held.to_pydict()
    del clips, changed, held
    write_arrow(out / "clips.arrow", pa.Table.from_pydict(content, schema=_clip_schema()))
    dropped = open_features(out, missing_faces="drop_clip")
    assert dropped.cache.clip_ids == [f"clip{number:02d}" for number in (0, 2, 3, 4, 5)]
    rows = np.r_[0:8, 16:48]
    np.testing.assert_array_equal(dropped.read(np.arange(40)), whole.read(rows))


def _clip_schema() -> Any:
    from emotrace.datasets.shards import CLIP_SCHEMA

    return CLIP_SCHEMA


def test_runs_and_bundles_are_extractors(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit_zoo(tiny_recipe(IMAGE, cache, epochs=1), run, architecture=IMAGE)
    of_run = load_extractor(run, architecture=IMAGE)
    crops = open_cache(cache).read([0, 1, 2])
    assert of_run.extract(crops).shape == (3, 6)
    assert of_run.description == "tiny-image, best.ckpt of epoch 1"
    of_bundle = load_extractor("default")
    assert isinstance(of_bundle, BundleExtractor)
    assert of_bundle.extract(crops).shape == (3, 8 + 7 + 1)
    assert [met.datasets for met in of_bundle.known.met] == [("ferplus",)]
    assert of_bundle.known.unknown == ()
    with pytest.raises(BundleError, match="expected the folder of a run or a bundle to make feat"):
        load_extractor(tmp_path / "none")
    options = TinyOptions()
    with pytest.raises(UsageError, match="a network that makes features of pictures; x does not"):
        NetworkExtractor(VECTORS.build(options), options, name="x")


def test_the_recurrent_part_learns_from_vectors_what_it_would_from_pictures(
    cache: Path, tmp_path: Path
) -> None:
    """A frozen extractor inside the network and its cached vectors give the same losses."""
    stills = tmp_path / "stills"
    fit_zoo(tiny_recipe(IMAGE, cache, epochs=1), stills, architecture=IMAGE)
    extract_features(load_extractor(stills, architecture=IMAGE), cache, tmp_path / "vectors")
    on_vectors = tiny_recipe(VECTORS, tmp_path / "vectors")
    report = fit_zoo(on_vectors, tmp_path / "apart", architecture=VECTORS)
    record = json.loads((report.run / "run.json").read_text())
    assert record["data"]["extractor"]["description"] == "tiny-image, best.ckpt of epoch 1"
    # The same recurrent weights to begin with: those of the first run's own beginning.
    torch.manual_seed(0)
    from emotrace.training.zoo.data import load_data

    data = load_data(on_vectors, kind=VECTORS.kind, heads=VECTORS.build(TinyOptions()).heads)
    joint = load_data(
        tiny_recipe(SEQUENCE, cache), kind=SEQUENCE.kind, heads=SEQUENCE.build(TinyOptions()).heads
    )
    assert len(data.train) == len(joint.train)
    extractor = load_extractor(stills, architecture=IMAGE)
    pictures = joint.train[[5]]
    vectors = data.train[[5]]
    np.testing.assert_allclose(
        vectors.inputs[0].numpy(), extractor.extract(pictures.inputs[0].numpy()), atol=1e-6
    )
    for name, values in vectors.targets.items():
        assert torch.equal(values, pictures.targets[name])
    with pytest.raises(UsageError, match=r"expected pictures for .* holds feature vectors"):
        fit_zoo(
            replace(tiny_recipe(IMAGE, tmp_path / "vectors")), tmp_path / "x", architecture=IMAGE
        )
