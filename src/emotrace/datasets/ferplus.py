"""FER+ and FER2013: 35,710 grey faces of 48 x 48 pixels with both label sets.

Sources: FER2013, Goodfellow et al. (2013, arXiv:1307.0414); FER+, Barsoum et al. (2016,
arXiv:1608.01041). The images were collected by web search and carry no clear licence: train and
measure with them, do not pass them on.

Two test protocols are in use and are not comparable; `majority_labels` and `argmax_labels` give
them, and every result must name its n.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np
import pyarrow.parquet as pq

from emotrace.errors import DatasetError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS, FER2013_NAMES, FERPLUS_VOTE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FILE_NAME: Final = "ferplus.parquet"
IMAGE_SIZE_PX: Final = 48
VOTE_NAMES: Final = (*EMOTIONS, "unknown", "not_face")
"""Columns of `FerPlusSplit.votes`: the eight emotions in our order, then the two others."""

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FerPlusSplit:
    """One official part of the set, as arrays over its n images."""

    name: str
    files: tuple[str, ...]
    images: NDArray[np.uint8]
    """`(n, 48, 48)`, uint8 grey."""
    votes: NDArray[np.int64]
    """`(n, 10)`: how many of 10 annotators chose each of `VOTE_NAMES`."""
    fer2013_labels: NDArray[np.int64]
    """`(n,)`: index into `FER2013_EMOTIONS`, or -1 where FER2013's own label is not known."""

    def __len__(self) -> int:
        return len(self.images)


def find_ferplus(root: str | Path) -> Path:
    """Return the path of the parquet file: `root` itself, or `ferplus.parquet` in or under it.

    Raises:
        DatasetError: There is none; the message says what was looked for.
    """
    root = Path(root)
    for candidate in (root, root / FILE_NAME, root / "data" / FILE_NAME):
        if candidate.is_file():
            return candidate
    raise DatasetError(
        f"expected {FILE_NAME} at {root}, in it or in its folder 'data'; found none; "
        "give the folder that holds it"
    )


def load_ferplus(root: str | Path, split: SplitName) -> FerPlusSplit:
    """Read one split into memory (train: 66 MB).

    Raises:
        DatasetError: The file is missing, is not a FER+ table, or an image does not decode.
    """
    path = find_ferplus(root)
    try:
        table = pq.read_table(path, filters=[("split", "==", split)])
        columns = [table[f"votes_{name}"].to_numpy() for name in _vote_columns()]
        blobs = table["image"].to_pylist()
        names = table["fer2013_label"].to_pylist()
        files = tuple(table["file"].to_pylist())
    except (KeyError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]  # pyarrow prints whole schemas
        raise DatasetError(f"expected the FER+ table in {path}; got: {reason}") from error
    if not files:
        raise DatasetError(f"expected rows of split {split!r} in {path}; found none")
    votes = np.stack(columns, axis=1)
    if not np.issubdtype(votes.dtype, np.integer) or votes.min() < 0:
        # A missing vote makes its column one of floats.
        raise DatasetError(f"expected whole votes of 0 or more in {path}; got others in {split!r}")
    label_of: dict[str | None, int] = {
        theirs: FER2013_EMOTIONS.index(ours) for theirs, ours in FER2013_NAMES.items()
    }
    label_of[None] = -1
    unknown = sorted({str(name) for name in names if name not in label_of})
    if unknown:
        raise DatasetError(
            f"expected FER2013 labels out of {', '.join(FER2013_NAMES)} in {path}; "
            f"got {', '.join(unknown)}"
        )
    return FerPlusSplit(
        name=split,
        files=files,
        images=_decode_images(blobs, files, path),
        votes=votes.astype(np.int64),
        fer2013_labels=np.array([label_of[name] for name in names]),
    )


def _decode_images(
    blobs: Sequence[bytes | None], files: Sequence[str], path: Path
) -> NDArray[np.uint8]:
    images = np.empty((len(blobs), IMAGE_SIZE_PX, IMAGE_SIZE_PX), np.uint8)
    for position, blob in enumerate(blobs):
        image = None
        if blob:  # OpenCV refuses no bytes at all with an error of its own
            image = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_GRAYSCALE)
        if image is None or image.shape != images.shape[1:]:
            got = "no image" if image is None else f"{image.shape}"
            raise DatasetError(
                f"expected a 48 x 48 image for {files[position]} in {path}; got {got}"
            )
        images[position] = image
    return images


def _vote_columns() -> list[str]:
    theirs = {ours: name for name, ours in FERPLUS_VOTE_COLUMNS.items()}
    return [theirs[name] for name in EMOTIONS] + ["unknown", "not_face"]


def majority_labels(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label `(n, 10)` votes by majority, as Microsoft's `ferplus.py` does; -1 falls out.

    Votes of 1 count as noise and are zeroed. The top vote must be more than half of what remains,
    all ten columns counted, and must be an emotion: not unknown, not not_face.

    >>> majority_labels(np.array([[0, 0, 0, 0, 8, 2, 0, 0, 0, 0], [4, 0, 0, 0, 4, 1, 1, 0, 0, 0]]))
    array([ 4, -1])
    """
    kept = np.where(votes > 1, votes, 0)
    top = kept.argmax(axis=1)
    is_majority = kept.max(axis=1) > kept.sum(axis=1) / 2
    labels: NDArray[np.int64] = np.where(is_majority & (top < len(EMOTIONS)), top, -1)
    return labels


def argmax_labels(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label `(n, 10)` votes by the most chosen of the eight emotions; none falls out.

    Ties go to the emotion that FER+ lists first (neutral, happiness, surprise, ...), as an argmax
    over the published columns does.
    """
    published = [EMOTIONS.index(ours) for ours in FERPLUS_VOTE_COLUMNS.values()]
    labels: NDArray[np.int64] = np.asarray(published)[votes[:, published].argmax(axis=1)]
    return labels


def vote_shares(votes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Turn `(n, 10)` votes into `(n, 8)` shares of the emotions, single votes dropped as noise.

    Where nothing but single votes remains, those are kept. A row without any vote for an emotion is
    all zero.
    """
    emotions = votes[:, : len(EMOTIONS)]
    kept = np.where(emotions > 1, emotions, 0)
    return cast_shares(np.where(kept.sum(axis=1, keepdims=True) > 0, kept, emotions))


def cast_shares(votes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Turn `(n, 10)` votes, or `(n, 8)` for the emotions alone, into `(n, 8)` shares, as cast.

    A row without any vote for an emotion is all zero.
    """
    emotions = votes[:, : len(EMOTIONS)]
    total = emotions.sum(axis=1, keepdims=True)
    shares: NDArray[np.float32] = (emotions / np.maximum(total, 1)).astype(np.float32)
    return shares


def not_face_shares(votes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return `(n,)`: the share of annotators who saw no face."""
    total = np.maximum(votes.sum(axis=1), 1)
    shares: NDArray[np.float32] = (votes[:, VOTE_NAMES.index("not_face")] / total).astype(
        np.float32
    )
    return shares


def duplicate_mask(split: FerPlusSplit, *others: FerPlusSplit) -> NDArray[np.bool_]:
    """Return `(n,)`: True where an image of `split` is pixel-identical to one of `others`."""
    seen = {_digest(image) for other in others for image in other.images}
    return np.array([_digest(image) in seen for image in split.images])


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()
