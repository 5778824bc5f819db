"""Feature vectors of a crop cache, made once by a frozen extractor, for the recurrent part to read.

::

    OUT/
      features.json     what the vectors are: extractor, whom it knows, fingerprints, count
      cache.json, clips.arrow, frames.arrow   the crop cache's own tables, copied
      vectors/
        part-00000.npy  (rows, features) float32: the rows with a crop, in the tables' order

A part is written whole or not at all, so that a killed run goes on where it was. What is there of
another extractor or of other crops is refused, never mixed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.datasets.cache import open_cache
from emotrace.datasets.shards import CLIPS_FILE, FRAMES_FILE, MANIFEST_FILE
from emotrace.errors import DatasetError, UsageError
from emotrace.storage import atomic_path, ensure_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from emotrace.datasets.cache import CropCache
    from emotrace.datasets.prepare import MissingFaces
    from emotrace.training.extractors import Extractor

FEATURES_FILE: Final = "features.json"
FEATURES_FORMAT: Final = 1
VECTOR_FOLDER: Final = "vectors"
PART_ROWS: Final = 8192
"""Rows of a part; at 300 values, 10 MB, and what a killed run must do again."""
_TABLES: Final = (MANIFEST_FILE, CLIPS_FILE, FRAMES_FILE)


class FeatureCache:
    """Vectors that lie beside the tables of the crop cache they were made of.

    A source of rows for examples; may be sent to other processes, which map the files themselves.
    """

    def __init__(
        self, folder: Path, record: dict[str, Any], cache: CropCache, rows: NDArray[np.int64]
    ) -> None:
        self.folder, self.record = folder, record
        self.cache = cache
        """The tables. Its crops stay where they were."""
        self._vector = rows
        self._parts: dict[int, NDArray[np.float32]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_parts": {}}

    @property
    def row_shape(self) -> tuple[int, ...]:
        """`(features,)`."""
        return (int(self.record["features"]),)

    def read(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Read the vectors of rows: `(k, features)`, float32; a copy.

        Raises:
            UsageError: A row has no face.
            DatasetError: A part is gone or damaged.
        """
        wanted = self._vector[np.asarray(rows, np.int64)]
        if len(wanted) and wanted.min() < 0:
            raise UsageError(f"expected rows with a face of {self.folder}; got one without")
        found = np.empty((len(wanted), *self.row_shape), np.float32)
        part = wanted // int(self.record["part_rows"])
        for number in np.unique(part):
            here = part == number
            found[here] = self._map(int(number))[wanted[here] % int(self.record["part_rows"])]
        return found

    def _map(self, number: int) -> NDArray[np.float32]:
        if number not in self._parts:
            path = _part_path(self.folder, number)
            try:
                values = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"expected feature vectors in {path}; got: {error}; make them again"
                ) from error
            if values.shape[1:] != self.row_shape or values.dtype != np.float32:
                raise DatasetError(
                    f"expected vectors of {self.row_shape[0]} float32 values in {path}; got "
                    f"{values.shape[1:]} of {values.dtype}; make them again"
                )
            self._parts[number] = values
        return self._parts[number]


@dataclass(frozen=True, kw_only=True)
class ExtractionReport:
    """What came of an extraction."""

    folder: Path
    rows: int
    """Vectors in all."""
    rows_before: int
    """Of those, how many were there already."""
    features: int


def is_feature_cache(folder: Path) -> bool:
    """Say whether a folder holds vectors, finished or not."""
    return (folder / FEATURES_FILE).is_file()


def extract_features(
    extractor: Extractor,
    cache_folder: str | Path,
    out: str | Path,
    *,
    batch_size: int = 64,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExtractionReport:
    """Make a vector of every crop of a cache; goes on where an earlier call stopped.

    Args:
        extractor: What makes them.
        cache_folder: The crop cache.
        out: Made where missing.
        batch_size: Crops at a time; no vector depends on it but for rounding.
        overwrite: Replace what another extractor made, or what was made of other crops.
        progress: Called with rows done and rows in all.

    Raises:
        DatasetError: The cache is not there, or `out` holds other vectors.
        OutputError: `out` cannot be written.
    """
    source, folder = Path(cache_folder), ensure_folder(Path(out))
    cache = open_cache(source, missing_faces="break")
    made_of = {
        "extractor": extractor.fingerprint,
        "crops": hash_crops(cache),
        "part_rows": PART_ROWS,
    }
    _clear_if_other(folder, made_of, overwrite=overwrite)
    rows = np.flatnonzero(cache.has_crop)
    if not len(rows):
        raise DatasetError(f"expected crops to make vectors of in {source}; it holds no face")
    record: dict[str, Any] = {
        "format": FEATURES_FORMAT,
        "state": "incomplete",
        **made_of,
        "description": extractor.description,
        "known": extractor.known.to_json(),
        "source": str(source.resolve()),
        "tables": hash_tables(source),
        "rows": len(rows),
        "features": 0,
    }
    # Not complete before the tables are touched, complete after all of it is there.
    _write_record(folder, record)
    for name in _TABLES:
        with atomic_path(folder / name) as partial:
            shutil.copyfile(source / name, partial)
    before = _extract_parts(extractor, cache, rows, folder, batch_size, progress)
    record["features"] = int(np.load(_part_path(folder, 0), mmap_mode="r").shape[1])
    _write_record(folder, {**record, "state": "complete"})
    return ExtractionReport(
        folder=folder, rows=len(rows), rows_before=before, features=int(record["features"])
    )


def _extract_parts(
    extractor: Extractor,
    cache: CropCache,
    rows: NDArray[np.int64],
    folder: Path,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Write the parts that are not there; return how many rows were."""
    ensure_folder(folder / VECTOR_FOLDER)
    before = 0
    for number, start in enumerate(range(0, len(rows), PART_ROWS)):
        chosen = rows[start : start + PART_ROWS]
        path = _part_path(folder, number)
        if path.exists():
            before += len(chosen)
        else:
            vectors = _extract_rows(extractor, cache, chosen, batch_size)
            with atomic_path(path) as partial:
                np.save(partial, vectors)
        if progress is not None:
            progress(start + len(chosen), len(rows))
    return before


def _extract_rows(
    extractor: Extractor, cache: CropCache, rows: NDArray[np.int64], batch_size: int
) -> NDArray[np.float32]:
    parts = [
        extractor.extract(cache.read(rows[start : start + batch_size]))
        for start in range(0, len(rows), batch_size)
    ]
    return np.concatenate(parts)


def _clear_if_other(folder: Path, made_of: dict[str, Any], *, overwrite: bool) -> None:
    """Refuse, or take away, vectors that are not of this extractor and these crops."""
    if not is_feature_cache(folder):
        return
    there = _read_record(folder)
    other = [name for name, value in made_of.items() if there.get(name) != value]
    if not other:
        return
    if not overwrite:
        words = {"extractor": "another extractor's", "crops": "of other crops"}
        raise DatasetError(
            f"expected no other vectors in {folder}; those there are "
            f"{' and '.join(words.get(name, 'of another layout') for name in other)} "
            f"({there.get('description')}); choose another folder, or overwrite them"
        )
    shutil.rmtree(folder / VECTOR_FOLDER, ignore_errors=True)


def open_features(
    folder: str | Path,
    *,
    missing_faces: MissingFaces | None = None,
    extractor: Extractor | None = None,
) -> FeatureCache:
    """Open vectors that `extract_features` has finished.

    Args:
        folder: Theirs.
        missing_faces: As `open_cache` takes it.
        extractor: Whose they must be, where that matters.

    Raises:
        DatasetError: There are none, they are not finished, or they are stale: another extractor's,
            or the crop cache has changed since.
    """
    folder = Path(folder)
    record = _read_record(folder)
    if record["state"] != "complete":
        raise DatasetError(
            f"expected finished feature vectors in {folder}; making them was interrupted: the same "
            "command again goes on where it stopped"
        )
    if extractor is not None and extractor.fingerprint != record["extractor"]:
        raise DatasetError(
            f"expected vectors of {extractor.description} in {folder}; those there are of "
            f"{record['description']}, or of other weights; make them again"
        )
    source = Path(record["source"])
    if (source / MANIFEST_FILE).is_file() and hash_tables(source) != record["tables"]:
        raise DatasetError(
            f"expected vectors of the crop cache as it is; {source} has changed since those in "
            f"{folder} were made; make them again (crops that did not change are not seen anew)"
        )
    whole = open_cache(folder, missing_faces="break")
    cache = open_cache(folder, missing_faces=missing_faces)
    vector = np.where(whole.has_crop, np.cumsum(whole.has_crop) - 1, -1).astype(np.int64)
    if len(cache.clip_ids) < len(whole.clip_ids):
        kept = np.isin(np.asarray(whole.clip_ids), np.asarray(cache.clip_ids))
        vector = vector[kept[whole.frames.clip]]
    return FeatureCache(folder, record, cache, vector)


def hash_crops(cache: CropCache) -> str:
    """Return a hash of a cache's crops: the shards are named by all that they follow from."""
    digest = hashlib.sha256(json.dumps(cache.manifest["shards"]).encode())
    digest.update(np.ascontiguousarray(cache.frames.content_hash).tobytes())
    return digest.hexdigest()


def hash_tables(folder: Path) -> str:
    """Return the SHA-256 of a cache's tables: labels, splits, frames."""
    digest = hashlib.sha256()
    for name in _TABLES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _part_path(folder: Path, number: int) -> Path:
    return folder / VECTOR_FOLDER / f"part-{number:05d}.npy"


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    with atomic_path(folder / FEATURES_FILE) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / FEATURES_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        found = record["format"], record["state"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"expected feature vectors in {folder}, with {FEATURES_FILE}; got: {reason}"
        ) from error
    if found[0] != FEATURES_FORMAT:
        raise DatasetError(
            f"expected feature vectors of format {FEATURES_FORMAT} in {folder}; got {found[0]}; "
            "make them again"
        )
    return record
