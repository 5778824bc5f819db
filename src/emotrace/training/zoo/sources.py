"""Opening what a recipe learns from: a crop cache, feature vectors, or FER+."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.datasets.cache import open_cache
from emotrace.datasets.ferplus import FILE_NAME, find_ferplus, load_ferplus
from emotrace.datasets.items import SIDES
from emotrace.datasets.shards import CLIPS_FILE, FRAMES_FILE, MANIFEST_FILE
from emotrace.datasets.splits import Split
from emotrace.errors import DatasetError
from emotrace.training.examples import (
    CacheSource,
    PictureSource,
    names_of_cache,
    names_of_pictures,
)
from emotrace.training.feature_cache import is_feature_cache, open_features
from emotrace.training.targets import labels_of_cache, labels_of_ferplus
from emotrace.training.zoo.split import choose_split, ferplus_items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from emotrace.datasets.cache import CropCache
    from emotrace.datasets.items import SideName, SplitItems
    from emotrace.training.examples import RowNames, RowSource
    from emotrace.training.targets import RowLabels
    from emotrace.training.zoo.recipe import DataSettings, ZooRecipe

_CACHE_TABLES: Final = (MANIFEST_FILE, CLIPS_FILE, FRAMES_FILE)


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenData:
    """Data that is open, whatever kind it is."""

    path: Path
    source: RowSource
    names: RowNames
    labels: RowLabels
    split: Split
    cache: CropCache | None
    """None for FER+, whose rows are the items of the split; else the clips are."""
    fingerprint: str
    """SHA-256 of the tables, which hold a hash of every picture."""

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets in it, sorted."""
        return ["ferplus"] if self.cache is None else sorted(set(self.cache.clips["dataset"]))

    def rows_of(self, side: SideName) -> NDArray[np.bool_]:
        """Return `(rows,)`: the row belongs to a side of the split.

        Raises:
            DatasetError: Something is on two sides.
        """
        items = getattr(self.split, side)
        chosen = np.zeros(len(self.split.items), np.bool_)
        chosen[items] = True
        if self.cache is None:
            return chosen
        rows: NDArray[np.bool_] = chosen[self.cache.frames.clip]
        return rows


def open_data(recipe: ZooRecipe, *, whole: bool = False) -> OpenData:
    """Open what the recipe names.

    Args:
        recipe: Data, protocol, labels.
        whole: Put everything on the test side, whatever the protocol: for data of which nothing was
            learned.

    Raises:
        DatasetError: There is nothing of the kind, or it is damaged, or its split leaks.
    """
    path = Path(recipe.data.data)
    _require_something(path)
    if (path / MANIFEST_FILE).is_file():
        return _open_cache(recipe, path, whole=whole)
    try:
        file = find_ferplus(path)
    except DatasetError:
        raise DatasetError(
            f"expected a crop cache ({MANIFEST_FILE}) or {FILE_NAME} at {path}; found neither; "
            "make a cache with 'emotrace prepare'"
        ) from None
    return _open_ferplus(recipe, file, whole=whole)


def data_fingerprint(path: Path) -> str:
    """Return the `fingerprint` that data would have, without opening it.

    Raises:
        DatasetError: It is not there.
    """
    _require_something(path)
    if (path / MANIFEST_FILE).is_file():
        return hash_files(path / name for name in _CACHE_TABLES)
    return hash_files([find_ferplus(path)])


def _require_something(path: Path) -> None:
    if not path.exists():
        raise DatasetError(
            f"expected a crop cache, feature vectors or {FILE_NAME} at {path}; there is nothing; "
            "make a cache with 'emotrace prepare'"
        )


def _open_cache(recipe: ZooRecipe, path: Path, *, whole: bool) -> OpenData:
    settings: DataSettings = recipe.data
    missing = None if settings.missing_faces == "default" else settings.missing_faces
    source: RowSource
    if is_feature_cache(path):
        features = open_features(path, missing_faces=missing)
        cache, source = features.cache, features
    else:
        cache = open_cache(path, missing_faces=missing, detected_only=recipe.windows.detected_only)
        source = CacheSource(cache)
    return OpenData(
        path=path,
        source=source,
        names=names_of_cache(cache),
        labels=labels_of_cache(cache, recipe.targets.labels),
        split=_split(cache.clip_items(), settings, whole=whole),
        cache=cache,
        fingerprint=hash_files(path / name for name in _CACHE_TABLES),
    )


def _open_ferplus(recipe: ZooRecipe, file: Path, *, whole: bool) -> OpenData:
    parts = {side: load_ferplus(file, side) for side in SIDES}
    every = replace(
        parts["train"],
        name="all",
        files=tuple(name for part in parts.values() for name in part.files),
        images=np.concatenate([part.images for part in parts.values()]),
        votes=np.concatenate([part.votes for part in parts.values()]),
        fer2013_labels=np.concatenate([part.fer2013_labels for part in parts.values()]),
    )
    return OpenData(
        path=file,
        source=PictureSource(every),
        names=names_of_pictures(every),
        labels=labels_of_ferplus(every, recipe.targets.labels),
        split=_split(ferplus_items(parts), recipe.data, whole=whole),
        cache=None,
        fingerprint=hash_files([file]),
    )


def _split(items: SplitItems, settings: DataSettings, *, whole: bool) -> Split:
    if not whole:
        return choose_split(items, settings)
    sides: dict[SideName, NDArray[np.int64]] = {"test": np.arange(len(items))}
    return Split(protocol="everything", fold="", items=items, sides=sides)


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of files, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
