"""The files of a crop cache: what they are called, what they hold, and how they are written whole.

::

    OUT/
      cache.json      what the cache is, written last: settings, versions, totals, failures
      clips.arrow     one row a clip (`CLIP_SCHEMA`)
      frames.arrow    one row a frame and face (`frame_schema`), clip after clip
      losses.csv      the clips that lost something, for people to read
      shards/
        KEY.npy       (crops, height, width, channels) uint8
        KEY.arrow     one row a frame and face (`SHARD_SCHEMA`); its presence says: done

A shard holds one video, or some hundred pictures. Its key is a hash of all that its content
follows from, so a shard that is there is right. Why these formats: docs/decisions/0010.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from emotrace.errors import DatasetError
from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO, Self

    from numpy.typing import NDArray

CACHE_FORMAT: Final = 1
"""Raised by one whenever a file's name, a column or a meaning changes."""
MANIFEST_FILE: Final = "cache.json"
CLIPS_FILE: Final = "clips.arrow"
FRAMES_FILE: Final = "frames.arrow"
LOSSES_FILE: Final = "losses.csv"
SHARD_FOLDER: Final = "shards"
METADATA_KEY: Final = b"emotrace"

NO_FACE, DETECTED, TRACKED = 0, 1, 2
"""Codes of the column `face_source`."""
NO_CROP: Final = -1

SHARD_SCHEMA: Final = pa.schema(
    [
        pa.field("clip", pa.int32(), nullable=False),
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("timestamp", pa.float64(), nullable=False),
        pa.field("face_id", pa.int32(), nullable=False),
        pa.field("face_source", pa.int8(), nullable=False),
        pa.field("face_score", pa.float32(), nullable=False),
        pa.field("x", pa.float32(), nullable=False),
        pa.field("y", pa.float32(), nullable=False),
        pa.field("w", pa.float32(), nullable=False),
        pa.field("h", pa.float32(), nullable=False),
        pa.field("is_subject", pa.bool_(), nullable=False),
        pa.field("is_cut", pa.bool_(), nullable=False),
        pa.field("crop", pa.int64(), nullable=False),
        pa.field("content_hash", pa.uint64(), nullable=False),
    ]
)
"""Rows of a shard. Not there is NaN, `face_id` 0, `crop` -1: columns without nulls are read without
copying. `clip` counts within the shard, `crop` is the row in its .npy, times are in seconds (NaN
where the data set states none), boxes in pixels."""

LABEL_FIELDS: Final = (
    pa.field("emotion", pa.int8(), nullable=False),
    pa.field("valence", pa.float32(), nullable=False),
    pa.field("arousal", pa.float32(), nullable=False),
)
VOTE_COUNT: Final = 10

CLIP_SCHEMA: Final = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("session", pa.string()),
        pa.field("condition", pa.string()),
        pa.field("partition", pa.string()),
        pa.field("emotion", pa.string()),
        pa.field("frame_rate", pa.float64()),
        pa.field("first_row", pa.int64(), nullable=False),
        pa.field("row_count", pa.int64(), nullable=False),
        pa.field("frame_count", pa.int64(), nullable=False),
        pa.field("missed_count", pa.int64(), nullable=False),
        pa.field("tracked_count", pa.int64(), nullable=False),
        pa.field("gap_count", pa.int64(), nullable=False),
        pa.field("longest_gap", pa.int64(), nullable=False),
        pa.field("other_face_count", pa.int64(), nullable=False),
        pa.field("unmatched_label_count", pa.int64(), nullable=False),
        pa.field("notes", pa.list_(pa.string()), nullable=False),
    ]
)
"""Rows of clips.arrow. Counts are frames, but for `gap_count` (stretches without the subject's
face) and `other_face_count` (sights of somebody else)."""


def frame_schema(
    action_units: Iterable[int], action_unit_intensities: Iterable[int], *, has_votes: bool
) -> pa.Schema:
    """Return the columns of frames.arrow for a data set with these labels.

    Those of `SHARD_SCHEMA` (`clip` is the row in clips.arrow), `shard` (position in cache.json's
    list), and the labels: `emotion` (index into `EMOTIONS` or -1), `valence`, `arousal`, `au_NN`
    and `au_NN_intensity` (NaN where there is none), `votes` (-1 where there are none).
    """
    fields = [*SHARD_SCHEMA, pa.field("shard", pa.int32(), nullable=False), *LABEL_FIELDS]
    names = [action_unit_column(unit) for unit in sorted(action_units)]
    names += [action_unit_column(unit, intensity=True) for unit in sorted(action_unit_intensities)]
    fields += [pa.field(name, pa.float32(), nullable=False) for name in names]
    if has_votes:
        votes = pa.list_(pa.field("item", pa.int16(), nullable=False), VOTE_COUNT)
        fields.append(pa.field("votes", votes, nullable=False))
    return pa.schema(fields)


def action_unit_column(unit: int, *, intensity: bool = False) -> str:
    """Return the name of an action unit's column.

    >>> action_unit_column(6), action_unit_column(12, intensity=True)
    ('au_06', 'au_12_intensity')
    """
    return f"au_{unit:02d}{'_intensity' if intensity else ''}"


class PixelWriter:
    """Writes crops one by one to a .npy file that may be longer than the memory.

    Args:
        path: The file; replaced if it is there.
        shape: `(height, width, channels)` of every crop.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._crop_bytes = int(np.prod(shape))
        self._file: BinaryIO = path.open("w+b")
        self._write_header(0)
        self._header_bytes = self._file.tell()
        self.count = 0
        """Crops in the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._file.seek(0)
            self._write_header(self.count)
        self._file.close()

    def append(self, crop: NDArray[np.uint8]) -> int:
        """Write a crop and return its number."""
        self._file.write(np.ascontiguousarray(crop).reshape(self._shape).data)
        self.count += 1
        return self.count - 1

    def keep(self, start: int, kept: NDArray[np.bool_]) -> None:
        """Take crops out again: of those from `start` on, only where `kept` is True stay."""
        goal = start
        for number in np.flatnonzero(kept) + start:
            if number != goal:
                # Crops only ever move towards the start, past those already moved.
                self._file.seek(self._header_bytes + int(number) * self._crop_bytes)
                crop = self._file.read(self._crop_bytes)
                self._file.seek(self._header_bytes + goal * self._crop_bytes)
                self._file.write(crop)
            goal += 1
        self.count = goal
        end = self._header_bytes + goal * self._crop_bytes
        self._file.seek(end)
        self._file.truncate(end)

    def _write_header(self, count: int) -> None:
        # NumPy leaves room in the header for the first length to grow, so its size is constant.
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": "|u1", "fortran_order": False, "shape": (count, *self._shape)},
        )


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write a table as an Arrow IPC file, whole or not at all.

    Raises:
        OutputError: The system refuses the write.
    """
    with (
        atomic_path(path) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        # One batch: a column is then one stretch of memory.
        writer.write_table(table.combine_chunks())


def read_arrow(path: Path) -> pa.Table:
    """Map an Arrow IPC file into memory.

    Raises:
        DatasetError: It is missing or damaged.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetError(
            f"expected a table of a crop cache in {path}; got: {reason}; "
            "run 'emotrace prepare' again"
        ) from error


def shard_paths(out: Path, key: str) -> tuple[Path, Path]:
    """Return where a shard's pixels and rows lie."""
    folder = out / SHARD_FOLDER
    return folder / f"{key}.npy", folder / f"{key}.arrow"


def write_shard_rows(
    path: Path, columns: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
) -> None:
    """Write a shard's rows and the facts of its clips; the shard is done with that.

    Raises:
        OutputError: The system refuses the write.
    """
    metadata = {METADATA_KEY: json.dumps({"format": CACHE_FORMAT, **facts}).encode()}
    schema = SHARD_SCHEMA.with_metadata(metadata)
    write_arrow(path, pa.table([pa.array(columns[f.name], f.type) for f in schema], schema=schema))


def read_shard_facts(out: Path, key: str, crop_bytes: int) -> dict[str, Any] | None:
    """Return the facts of a shard that is done, None where it is not there or not whole.

    Args:
        out: The cache's folder.
        key: The shard's.
        crop_bytes: Bytes of one crop.
    """
    pixels, rows = shard_paths(out, key)
    try:
        with pa.memory_map(str(rows)) as source:
            metadata = pa.ipc.open_file(source).schema.metadata or {}
        facts: dict[str, Any] = json.loads(metadata[METADATA_KEY])
        with pixels.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
            header_bytes = file.tell()
        is_whole = pixels.stat().st_size == header_bytes + shape[0] * crop_bytes
    except (OSError, ValueError, KeyError):
        return None
    return facts if is_whole and facts.get("format") == CACHE_FORMAT else None
