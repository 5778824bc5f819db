"""Post-processing of the table that `emotrace analyze` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from emotrace.analysis.smoothing import SHORTEST_EXPRESSION_SECONDS
from emotrace.analysis.tracks import face_tracks, run_starts
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.analysis.post_processing.files import AffectPostProcessing

PROCESSED_FIELDS: Final = (
    pa.field("processed_valence", pa.float32()),
    pa.field("processed_arousal", pa.float32()),
)
"""Columns that `apply_to_timeline` appends; `valence` and `arousal` stay as predicted."""


def apply_to_timeline(
    table: pa.Table,
    post_processing: AffectPostProcessing,
    *,
    max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS,
    cut_timestamps_seconds: Sequence[float] = (),
) -> pa.Table:
    """Append post-processed valence and arousal to a timeline, face by face.

    Works at the true times of the frames (see `PostProcessing.apply_at_times`). A face that is away
    for longer than `max_gap_seconds`, or a shot cut, starts afresh; shorter absences are bridged by
    a straight line. Values are cut off at -1 and 1, the range of the columns.

    A value depends on frames up to `post_processing.look_ahead_seconds` later (and on the frame
    after a bridged absence), so this is for recordings; a live display would have to wait as long.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order, with or without appended columns.
        post_processing: What to do; a dimension without a chain is copied.
        max_gap_seconds: Longest absence that is bridged.
        cut_timestamps_seconds: Times of the first frames of new shots (`shot_cuts_seconds` in a
            summary).

    Returns:
        The table with `PROCESSED_FIELDS` appended; empty where there is no face.

    Raises:
        UsageError: Not a timeline in frame order, or it has these columns already.
    """
    there = [field.name for field in PROCESSED_FIELDS if field.name in table.column_names]
    if there:
        raise UsageError(
            f"expected a timeline without processed columns; got one with {', '.join(there)}; "
            "drop them first"
        )
    tracks = face_tracks(table)
    for field, dimension in zip(PROCESSED_FIELDS, ("valence", "arousal"), strict=True):
        raw = table[dimension].to_numpy().astype(np.float64)
        values = np.full(table.num_rows, np.nan)
        chain = getattr(post_processing, dimension)
        for track in tracks:
            own = raw[track.rows]
            if chain is not None:
                starts = run_starts(
                    track,
                    max_gap_seconds=max_gap_seconds,
                    cut_timestamps_seconds=cut_timestamps_seconds,
                )
                own = chain.apply_at_times(own, track.start_seconds, np.cumsum(starts))
            values[track.rows] = np.clip(own, -1.0, 1.0)
        column = pa.array(values.astype(np.float32), mask=np.isnan(values))
        table = table.append_column(field, column)
    return table
