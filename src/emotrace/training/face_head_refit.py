"""From data on disk to a refitted face head: what `emotrace train default --export` does.

The faces are FER+'s; the pictures without a face are gathered from synthetic scenes, from FER+'s
own faces, and from whatever footage is at hand (`emotrace.training.not_face_crops`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.analysis.inputs import find_inputs
from emotrace.datasets.ferplus import load_ferplus, not_face_shares
from emotrace.errors import InputError
from emotrace.training.face_head import fit_face_head, is_held_out
from emotrace.training.not_face_crops import Footage, gather_not_faces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.datasets.ferplus import FerPlusSplit
    from emotrace.models.compact import CompactNet
    from emotrace.training.face_head import FaceHeadFit

FACES: Final = 6000
"""Of FER+'s training split: plenty for 257 numbers."""
MADE: Final = 1500
"""Of them, as many give a part, and a picture made of one."""


def refit_from(
    data_root: str | Path,
    footage: Sequence[Footage] = (),
    *,
    folder: Path | None = None,
    scenes: int = 16,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> Callable[[CompactNet], FaceHeadFit]:
    """Return what `export_run` takes to refit the face head of the network that it exports.

    Args:
        data_root: The folder with `ferplus.parquet`.
        footage: Videos and pictures; see `footage_in`.
        folder: Where detector files lie; `emotrace.storage.home_folder()` unless given.
        scenes: Synthetic ones.
        seed: Of everything drawn.
        tell: Told what is done next; with footage it takes minutes.
    """

    def refit(network: CompactNet) -> FaceHeadFit:
        faces = sure_faces(load_ferplus(data_root, "train"), FACES, seed=seed)
        gathered = gather_not_faces(
            faces[:MADE], footage, folder=folder, scenes=scenes, seed=seed, tell=tell
        )
        fitted = fit_face_head(
            network,
            faces,
            np.concatenate(list(gathered.values())),
            validation_faces=sure_faces(load_ferplus(data_root, "validation")),
            seed=seed,
        )
        return replace(fitted, learnt_from=count_origins(gathered))

    return refit


def count_origins(gathered: Mapping[str, NDArray[np.uint8]]) -> dict[str, int]:
    """Say for the bundle's card what the pictures that were learned from are, without any path."""
    ours = {
        "scenes": "crops from drawn scenes",
        "parts": "parts of training faces",
        "made": "pictures made of training faces",
    }
    sources = np.repeat(list(gathered), [len(crops) for crops in gathered.values()])
    learnt = sources[~is_held_out(len(sources))].tolist()
    files = len(set(learnt) - set(ours))
    footage = f"crops from {files} {'files' if files != 1 else 'file'} of footage"
    return dict(Counter(ours.get(name, footage) for name in learnt))


def sure_faces(
    split: FerPlusSplit, count: int | None = None, *, seed: int = 0
) -> NDArray[np.uint8]:
    """Draw pictures in which no annotator saw no face: `(n, 48, 48)`, uint8.

    Args:
        split: Of FER+.
        count: At most so many, at random; all of them, in order, where not given.
        seed: Of the draw.
    """
    sure = np.flatnonzero(not_face_shares(split.votes) == 0)
    if count is not None:
        sure = np.random.default_rng([seed, 4]).permutation(sure)[:count]
    return split.images[sure]


def footage_in(folder: str | Path) -> list[Footage]:
    """Return all videos and pictures of a folder as footage whose faces are to be found.

    Raises:
        InputError: The folder cannot be read or holds none.
    """
    found = find_inputs(folder)
    if found.problems:
        path, problem = found.problems[0]
        raise InputError(f"expected to search {path}; got: {problem}")
    return [Footage(path=path, has_faces=True) for path in found.paths]
