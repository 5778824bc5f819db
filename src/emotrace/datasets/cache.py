"""Reading a crop cache: any window of any clip at random, by memory map."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.datasets.items import Content, Spans, SplitItems
from emotrace.datasets.shards import (
    CACHE_FORMAT,
    CLIPS_FILE,
    FRAMES_FILE,
    MANIFEST_FILE,
    NO_CROP,
    TRACKED,
    VOTE_COUNT,
    read_arrow,
    shard_paths,
)
from emotrace.datasets.windows import Windows, WindowSettings, find_windows
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

    from emotrace.datasets.prepare import MissingFaces

_OPEN_MAPS: Final = 256
"""Every open map costs a file descriptor, of which a process often has no more than 1024. Opening
one anew for each window still gives 68,000 frames a second (docs/decisions/0010)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CachedFrames:
    """One entry a row: every frame of every clip, those without a face too.

    Columns lie in mapped memory and cannot be written to.
    """

    clip: NDArray[np.int32]
    """`(n,)`: position in `CropCache.clip_ids`; the rows of a clip lie together."""
    frame: NDArray[np.int64]
    """`(n,)`: frame number in the clip."""
    timestamp_seconds: NDArray[np.float64]
    """`(n,)`: true presentation time; NaN where the data set states none."""
    face_id: NDArray[np.int32]
    """`(n,)`: 1, 2, ...; 0 for a frame without a face."""
    face_source: NDArray[np.int8]
    """`(n,)`: 0 no face, 1 detected, 2 followed by optical flow."""
    face_score: NDArray[np.float32]
    """`(n,)`: the detector's, in [0, 1]; NaN without a face."""
    box_xywh_px: NDArray[np.float32]
    """`(n, 4)`: the detector's box; NaN without a face."""
    is_subject: NDArray[np.bool_]
    """`(n,)`: the face is the one that the labels are about."""
    is_cut: NDArray[np.bool_]
    """`(n,)`: the frame is the first of a new shot."""
    content_hash: NDArray[np.uint64]
    """`(n,)`: equal for equal crops; 0 without a face."""
    emotion: NDArray[np.int8]
    """`(n,)`: the frame's own label, index into `EMOTIONS`, or -1."""
    valence: NDArray[np.float32]
    """`(n,)` in [-1, 1]; NaN for no label."""
    arousal: NDArray[np.float32]
    """`(n,)` in [-1, 1]; NaN for no label."""
    action_units: dict[str, NDArray[np.float32]]
    """`au_NN` (0, 1 or NaN) and `au_NN_intensity` (in [0, 1] or NaN), `(n,)` each."""
    votes: NDArray[np.int16] | None
    """`(n, 10)`, -1 where there are none; None for a set without."""

    def __len__(self) -> int:
        return len(self.clip)


class CropCache:
    """A finished crop cache; make one with `open_cache`.

    May be sent to other processes (data loaders): each maps the files itself. One object is for one
    thread at a time.
    """

    def __init__(
        self,
        folder: Path,
        manifest: dict[str, Any],
        clips: dict[str, list[Any]],
        frames: CachedFrames,
        place: tuple[NDArray[np.int32], NDArray[np.int64]],
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        """What `cache.json` says: settings, versions, report."""
        self.clips = clips
        """Columns of `emotrace.datasets.shards.CLIP_SCHEMA`, an entry a clip."""
        self.frames = frames
        self._shard, self._crop = place
        size = int(manifest["cropping"]["crop"]["size_px"])
        channels = 3 if manifest["cropping"]["color"] == "rgb" else 1
        self.crop_shape: tuple[int, int, int] = (size, size, channels)
        """`(height, width, channels)`."""
        self._maps: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": OrderedDict()}

    @property
    def clip_ids(self) -> list[str]:
        """Names of the clips."""
        return self.clips["clip_id"]

    @property
    def has_crop(self) -> NDArray[np.bool_]:
        """`(n,)`: the row has a face that can be read."""
        return np.asarray(self._crop != NO_CROP, np.bool_)

    def read(self, rows: ArrayLike) -> NDArray[np.uint8]:
        """Read the crops of rows, in their order.

        Args:
            rows: `(k,)` positions in `frames`.

        Returns:
            `(k, height, width, channels)`, uint8, RGB or grey; a copy.

        Raises:
            UsageError: A row does not exist or has no face.
            DatasetError: A shard is gone.
        """
        wanted = np.asarray(rows, np.int64)
        if wanted.ndim != 1:
            raise UsageError(f"expected rows of shape (k,); got {wanted.shape}")
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self.frames)):
            raise UsageError(f"expected rows from 0 to {len(self.frames) - 1} of {self.folder}")
        crops = np.empty((len(wanted), *self.crop_shape), np.uint8)
        if not len(wanted):
            return crops
        shard, place = self._shard[wanted], self._crop[wanted]
        if place.min() < 0:
            row = int(wanted[int(np.argmin(place))])
            raise UsageError(
                f"expected rows with a face; row {row} of {self.folder} (frame "
                f"{int(self.frames.frame[row])} of {self.clip_ids[int(self.frames.clip[row])]}) "
                "has none"
            )
        # Crops that lie next to one another are copied at once.
        breaks = np.flatnonzero((np.diff(shard) != 0) | (np.diff(place) != 1)) + 1
        bounds = [0, *breaks.tolist(), len(wanted)]
        for begin, end in pairwise(bounds):
            first = int(place[begin])
            crops[begin:end] = self._pixels(int(shard[begin]))[first : first + end - begin]
        return crops

    def read_windows(self, first_rows: ArrayLike, length: int) -> NDArray[np.uint8]:
        """Read windows of consecutive rows, as `windows` finds them.

        Args:
            first_rows: `(w,)`.
            length: Rows in each.

        Returns:
            `(w, length, height, width, channels)`, uint8; a copy.

        Raises:
            UsageError, DatasetError: As `read` says.
        """
        first = np.asarray(first_rows, np.int64)
        rows = (first[:, None] + np.arange(length)).reshape(-1)
        return self.read(rows).reshape(len(first), length, *self.crop_shape)

    def windows(
        self,
        settings: WindowSettings | None = None,
        *,
        is_target: ArrayLike | None = None,
        is_input: ArrayLike | None = None,
        detected_only: bool = False,
    ) -> Windows:
        """Find every window of one face that crosses no gap.

        Args:
            settings: Length, stride, target, limits.
            is_target: `(n,)` bool: rows that may be predicted; all with a face unless given.
            is_input: `(n,)` bool: rows with a face that may be seen; all unless given.
            detected_only: Faces followed by optical flow count as missing.

        Raises:
            UsageError: A length is not n.
        """
        usable = self.has_crop
        if detected_only:
            usable = usable & (self.frames.face_source != TRACKED)
        if is_input is not None:
            usable = usable & np.asarray(is_input, np.bool_)
        return find_windows(
            self.sequence,
            self.frames.frame,
            is_input=usable,
            is_target=usable if is_target is None else is_target,
            timestamp_seconds=self.frames.timestamp_seconds,
            settings=settings,
        )

    @cached_property
    def sequence(self) -> NDArray[np.int64]:
        """`(n,)`: a number that rows of one clip and one face share."""
        most = int(self.frames.face_id.max(initial=0)) + 1
        return self.frames.clip.astype(np.int64) * most + self.frames.face_id

    def emotion_labels(self) -> NDArray[np.int64]:
        """Return `(n,)`: each row's expression; its clip's where the frame has none, or -1."""
        of_clip = np.array(
            [-1 if name is None else EMOTIONS.index(name) for name in self.clips["emotion"]],
            np.int64,
        )
        own = self.frames.emotion.astype(np.int64)
        return np.where(own >= 0, own, of_clip[self.frames.clip])

    def clip_items(self) -> SplitItems:
        """Describe the clips for a split, with their pictures, so that equal ones are found.

        A clip's class is its own label, else the most frequent one of its frames.
        """
        count = len(self.clip_ids)
        labels = self.emotion_labels()
        has_label = labels >= 0
        votes = np.zeros((count, len(EMOTIONS)), np.int64)
        np.add.at(votes, (self.frames.clip[has_label].astype(np.int64), labels[has_label]), 1)
        has_crop = self.has_crop
        return SplitItems(
            item_ids=tuple(self.clip_ids),
            subjects=tuple(self.clips["subject"]),
            sessions=tuple(self.clips["session"]),
            partitions=tuple(self.clips["partition"]),
            labels=np.where(votes.any(axis=1), votes.argmax(axis=1), -1),
            content=Content(
                item=self.frames.clip[has_crop].astype(np.int64),
                hashes=self.frames.content_hash[has_crop],
            ),
        )

    def window_items(self, windows: Windows) -> SplitItems:
        """Describe windows for a split, so that overlapping ones are found.

        To keep clips whole, split `clip_items` and select windows by their clip instead: that also
        takes less memory (16 bytes for every frame of every window here).
        """
        first, last = windows.first, np.maximum(windows.last, windows.target)
        clip = self.frames.clip[first].tolist()
        names = [self.clip_ids[at] for at in clip]
        faces, frames = self.frames.face_id[first].tolist(), self.frames.frame
        labels = self.emotion_labels()
        return SplitItems(
            item_ids=tuple(
                f"{name}:{face}:{begin}"
                for name, face, begin in zip(names, faces, frames[first].tolist(), strict=True)
            ),
            subjects=tuple(self.clips["subject"][at] for at in clip),
            sessions=tuple(self.clips["session"][at] for at in clip),
            partitions=tuple(self.clips["partition"][at] for at in clip),
            labels=labels[windows.target],
            content=Content(
                item=np.repeat(np.arange(len(windows)), windows.length),
                hashes=self.frames.content_hash[windows.rows().reshape(-1)],
            ),
            spans=Spans(source=tuple(names), first_frame=frames[first], last_frame=frames[last]),
        )

    def _pixels(self, shard: int) -> NDArray[np.uint8]:
        pixels = self._maps.get(shard)
        if pixels is None:
            path = shard_paths(self.folder, self.manifest["shards"][shard])[0]
            try:
                pixels = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"expected the crops of a shard in {path}; got: {error}; run 'emotrace "
                    "prepare' again"
                ) from error
            self._maps[shard] = pixels
            if len(self._maps) > _OPEN_MAPS:
                self._maps.popitem(last=False)
        else:
            self._maps.move_to_end(shard)
        return pixels


def open_cache(
    folder: str | Path,
    *,
    missing_faces: MissingFaces | None = None,
    detected_only: bool = False,
) -> CropCache:
    """Open a cache that `emotrace prepare` has finished.

    Args:
        folder: The cache's folder.
        missing_faces: What a missed face costs: `break`, nothing but windows (rangulov2020);
            `drop_clip`, its whole clip (salinas2018); what it was prepared with unless given.
        detected_only: With `drop_clip`: a face followed by optical flow counts as missed, as it
            would have been for a detector alone.

    Raises:
        DatasetError: It is no cache, not finished, or of another format; or no clip is left.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    clips = read_arrow(folder / CLIPS_FILE)
    table = read_arrow(folder / FRAMES_FILE)
    policy = missing_faces or manifest["missing_faces"]
    if policy not in ("break", "drop_clip"):
        raise UsageError(f"expected missing_faces 'break' or 'drop_clip'; got {policy!r}")
    if policy == "drop_clip":
        lost = clips["missed_count"].to_numpy().copy()
        if detected_only:
            lost += clips["tracked_count"].to_numpy()
        kept = np.flatnonzero(lost == 0)
        if not len(kept):
            raise DatasetError(
                f"expected clips of {folder} without a missed face; all {len(lost)} miss some; "
                "open it with missing_faces='break'"
            )
        if len(kept) < len(lost):
            clips, table = _keep_clips(clips, table, kept)
    frames, place = _frames(table)
    return CropCache(folder, manifest, clips.to_pydict(), frames, place)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        state, found_format = manifest["state"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"expected a crop cache in {folder}, with {MANIFEST_FILE}; got: {reason}; "
            "make one with 'emotrace prepare'"
        ) from error
    if found_format != CACHE_FORMAT:
        raise DatasetError(
            f"expected a crop cache of format {CACHE_FORMAT} in {folder}; got {found_format}; make "
            "it anew with this version's 'emotrace prepare'"
        )
    if state != "complete":
        raise DatasetError(
            f"expected a finished crop cache in {folder}; it was interrupted: run the same "
            "'emotrace prepare' again, it goes on where it stopped"
        )
    return manifest


def _keep_clips(
    clips: pa.Table, table: pa.Table, kept: NDArray[np.int64]
) -> tuple[pa.Table, pa.Table]:
    import pyarrow as pa

    position = np.full(clips.num_rows, -1, np.int32)
    position[kept] = np.arange(len(kept), dtype=np.int32)
    clip = position[table["clip"].to_numpy()]
    table = table.filter(pa.array(clip >= 0)).combine_chunks()
    numbers = pa.array(clip[clip >= 0], pa.int32())
    at = table.schema.get_field_index("clip")
    return clips.take(pa.array(kept)), table.set_column(at, table.schema.field(at), numbers)


def _frames(table: pa.Table) -> tuple[CachedFrames, tuple[NDArray[np.int32], NDArray[np.int64]]]:
    def column(name: str) -> NDArray[Any]:
        values: NDArray[Any] = table[name].to_numpy()
        return values

    renamed = {"timestamp_seconds": "timestamp"}
    special = {"box_xywh_px", "action_units", "votes"}
    plain = {
        item.name: column(renamed.get(item.name, item.name))
        for item in fields(CachedFrames)
        if item.name not in special
    }
    votes = None
    if "votes" in table.column_names:
        flat = [chunk.flatten().to_numpy() for chunk in table["votes"].chunks]
        votes = np.concatenate(flat or [np.empty(0, np.int16)]).reshape(-1, VOTE_COUNT)
    frames = CachedFrames(
        **plain,
        box_xywh_px=np.stack([column(name) for name in "xywh"], axis=1),
        action_units={name: column(name) for name in table.column_names if name.startswith("au_")},
        votes=votes,
    )
    return frames, (column("shard"), column("crop"))
