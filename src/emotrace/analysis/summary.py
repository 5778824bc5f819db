"""`summary.json`: what the input is, what was found in it, and with what it was found."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from emotrace.analysis.rejection import FaceRejection
from emotrace.analysis.tracks import FaceTrack, face_tracks, timeline_end_seconds
from emotrace.analysis.votes import vote_by_maximum_probability, vote_by_summed_probabilities
from emotrace.labels import EMOTIONS
from emotrace.timeline import SCHEMA_VERSION, FaceSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from emotrace.timeline import InputFacts

MEANING: Final = (
    "A predicted expression is a model's guess at how a face looks in a picture; it is not a "
    "readout of what the person feels."
)
"""The sentence that goes with every result."""

SMALL_FACE_PX: Final = 20.0
"""Faces narrower than this are guessed at, says the card of the default model."""

MOSTLY_CARRIED_SHARE: Final = 0.5
"""Where the detector finds a face in less than this share of the frames in which it looked, most of
the face's rows rest on optical flow alone."""

COLUMNS_NOTE: Final = (
    "All columns of the frame table are unsmoothed, "
    "except those whose names begin with 'smoothed_' or 'processed_'; "
    "only these and 'adjusted_*' know of a neutral baseline."
)

_MOST_NAMED_FACES: Final = 5

_DISTRIBUTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "emotrace": ("emotrace",),
    "numpy": ("numpy",),
    # OpenCV is published under several names; any of them may be the one installed.
    "opencv": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "av": ("av",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "pyarrow": ("pyarrow",),
}


def installed_versions() -> dict[str, str | None]:
    """Return the versions of Python, emotrace and what it computes with; None where not installed.

    Reads package metadata and imports none of the packages.
    """
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name, distributions in _DISTRIBUTIONS.items():
        versions[name] = next(filter(None, map(_version_of, distributions)), None)
    return versions


def summarize(
    table: pa.Table,
    facts: InputFacts,
    *,
    settings: Mapping[str, Any],
    bundle: Mapping[str, Any],
    detector: str,
    notices: Sequence[str] = (),
    run_notices: Sequence[str] = (),
    versions: Mapping[str, str | None] | None = None,
    cut_timestamps_seconds: Sequence[float] = (),
    rejected: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Summarize one input's timeline as a dictionary that is valid JSON (None, never NaN).

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order.
        facts: What the input is.
        settings: The resolved settings of the run, prior and smoothing included.
        bundle: Name, hash, licence and what else is known of the model.
        detector: The face detector's name.
        notices: What the user should know of this input, in plain words; `facts.notes` and
            `run_notices` go before them, what `face_notices` says of the faces after them.
        run_notices: The same of the bundle and the detector: true of every input of a run.
        versions: Versions of the software; `installed_versions()` where not given.
        cut_timestamps_seconds: Times of the first frames of new shots.
        rejected: What `FaceRejection.describe` says; that nothing was looked for, where not given.

    Returns:
        The keys `schema_version`, `meaning`, `input`, `counts`, `faces` (see `_summarize_face`),
        `rejected`, `shot_cuts_seconds`, `detector`, `bundle`, `settings`, `columns_note`,
        `notices`, `run_notices` (those of them that every input of the run has), `versions`. Where
        `bundle` states an `uncertain_threshold`, each face has its `uncertain_share` of time; else
        that is None.

    Raises:
        UsageError: The table is not a timeline in frame order.
    """
    tracks = face_tracks(table, end_seconds=timeline_end_seconds(table, facts))
    uncertain_below = bundle.get("uncertain_threshold")
    faces = [_summarize_face(table, track, uncertain_below) for track in tracks]
    rejected = dict(rejected or FaceRejection(None).describe())
    with_face = table.filter(pc.is_valid(table["face_id"]))
    summary = {
        "schema_version": SCHEMA_VERSION,
        "meaning": MEANING,
        "input": dataclasses.asdict(facts),
        "counts": {
            "frames": pc.count_distinct(table["frame"]).as_py(),
            "frames_with_face": pc.count_distinct(with_face["frame"]).as_py(),
            "faces": len(tracks),
            "shot_cuts": len(cut_timestamps_seconds),
        },
        "faces": faces,
        "rejected": rejected,
        "shot_cuts_seconds": list(cut_timestamps_seconds),
        "detector": detector,
        "bundle": bundle,
        "settings": settings,
        "columns_note": COLUMNS_NOTE,
        "notices": [
            *facts.notes,
            *run_notices,
            *notices,
            *rejection_notices(rejected),
            *face_notices(faces, detect_every=settings.get("detect_every", 1)),
        ],
        "run_notices": list(run_notices),
        "versions": installed_versions() if versions is None else versions,
    }
    ready: dict[str, Any] = json_ready(summary)
    return ready


def face_notices(faces: Sequence[Mapping[str, Any]], *, detect_every: int = 1) -> list[str]:
    """Say which faces the model guesses at: the very small ones, and those rarely detected.

    Args:
        faces: The summary's `faces`.
        detect_every: Frames from one run of the detector to the next: a face that is `tracked` in
            between is no cause for doubt.

    Returns:
        At most one notice of each kind, so that a crowd does not fill the screen.

    >>> face_notices([{"face_id": 4, "median_width_px": 12.3, "detected_share": 0.9}])
    ['face 4 is about 12 px wide: its predictions are guesses']
    """
    notices = []
    small = [face for face in faces if (face["median_width_px"] or math.inf) < SMALL_FACE_PX]
    if small:
        widths = sorted(round(face["median_width_px"]) for face in small)
        width = f"{widths[0]}" if widths[0] == widths[-1] else f"{widths[0]} to {widths[-1]}"
        named, verb, their = _named_faces(small)
        notices.append(f"{named} {verb} about {width} px wide: {their} predictions are guesses")
    carried = [
        face for face in faces if face["detected_share"] * detect_every < MOSTLY_CARRIED_SHARE
    ]
    if carried:
        named, verb, their = _named_faces(carried)
        notices.append(
            f"{named} {verb} mostly 'tracked', not 'detected': {their} boxes were carried from "
            "frames nearby and may have drifted off the face"
        )
    return notices


def rejection_notices(rejected: Mapping[str, Any]) -> list[str]:
    """Say that the model took some of what was detected for no face, and what became of it.

    Args:
        rejected: What `FaceRejection.describe` says.

    >>> rejection_notices({"detections": 0, "tracks": 0, "are_dropped": True})
    []
    """
    if not rejected["detections"]:
        return []
    boxes = "1 box" if rejected["detections"] == 1 else f"{rejected['detections']} boxes"
    tracks = "1 track" if rejected["tracks"] == 1 else f"{rejected['tracks']} tracks"
    fate = "left out (--keep-rejected keeps them)" if rejected["are_dropped"] else "kept as asked"
    return [f"{boxes} on {tracks} did not look like a face to the model: {fate}"]


def _named_faces(faces: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Return the faces' names, the verb and the pronoun that go with them."""
    ids = [str(face["face_id"]) for face in faces]
    if len(ids) == 1:
        return f"face {ids[0]}", "is", "its"
    if len(ids) > _MOST_NAMED_FACES:
        shown = ", ".join(ids[:_MOST_NAMED_FACES])
        return f"{len(ids)} faces ({shown}, ...)", "are", "their"
    return f"faces {', '.join(ids[:-1])} and {ids[-1]}", "are", "their"


def json_ready(value: Any) -> Any:
    """Turn nested values into what JSON can hold: NaN and infinity into None, tuples into lists.

    Takes mappings, sequences, arrays, data classes, enumerations, paths and numpy scalars; anything
    else that JSON does not know becomes its `str`.

    >>> json_ready({"mean": float("nan"), "box": (1, 2.5)})
    {'mean': None, 'box': [1, 2.5]}
    """
    if isinstance(value, Enum):
        return json_ready(value.value)
    if isinstance(value, np.generic | np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json_ready(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [json_ready(item) for item in items]
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def _summarize_face(
    table: pa.Table, track: FaceTrack, uncertain_below: float | None
) -> dict[str, Any]:
    """One face. Shares and means are weighted by how long each frame was on screen."""
    rows = table.take(track.rows)
    weights = track.weights
    top = track.probabilities.argmax(axis=1)
    shares = np.bincount(top, weights=weights, minlength=len(EMOTIONS))
    source = rows["face_source"].to_numpy()
    by_maximum = vote_by_maximum_probability(track.probabilities)
    by_sum = vote_by_summed_probabilities(track.probabilities)
    return {
        "face_id": track.face_id,
        "first_seen_seconds": track.start_seconds[0],
        "last_seen_seconds": track.end_seconds[-1],
        "seconds_present": round(float(track.duration_seconds.sum()), 9),  # without a sum's noise
        "frames": len(track.rows),
        "median_width_px": _median(rows["w"]),
        # Shares of frames, not of time: they say how much detection and tracking each did.
        "detected_share": np.mean(source == FaceSource.DETECTED.value),
        "tracked_share": np.mean(source == FaceSource.TRACKED.value),
        "emotion_time_shares": dict(zip(EMOTIONS, shares, strict=True)),
        "vote_by_maximum_probability": EMOTIONS[by_maximum],
        "vote_by_summed_probabilities": EMOTIONS[by_sum],
        "mean_confidence": weights @ track.probabilities.max(axis=1),
        "uncertain_share": (
            None
            if uncertain_below is None
            # The weights' sum may miss 1 by rounding.
            else min(1.0, weights @ (track.probabilities.max(axis=1) < uncertain_below))
        ),
        "mean_valence": _weighted_mean(rows, "valence", weights),
        "mean_arousal": _weighted_mean(rows, "arousal", weights),
        "valence_arousal_sources": sorted(
            pc.unique(rows["valence_arousal_source"].drop_null()).to_pylist()
        ),
    }


def _median(column: pa.ChunkedArray) -> float | None:
    values = column.drop_null().to_numpy()
    return float(np.median(values)) if len(values) else None


def _weighted_mean(rows: pa.Table, column: str, weights: np.ndarray) -> float | None:
    values = rows[column].to_numpy().astype(np.float64)
    known = np.isfinite(values)
    total = weights[known].sum()
    return float(weights[known] @ values[known] / total) if total > 0 else None


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
