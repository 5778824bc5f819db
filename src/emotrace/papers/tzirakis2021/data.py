"""tzirakis2021's Tables 2 to 4: the data to pre-train on, ours beside theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.labels import EMOTIONS
from emotrace.papers.report import Missing, Score, Section, Table, Theirs
from emotrace.papers.tzirakis2021.recipes import COUNTS, RESAMPLED

if TYPE_CHECKING:
    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results

_FRAMES: Final[dict[str, tuple[str, str, str, str]]] = {
    "happiness": ("Happy", "60,179", "298,222", "9,494"),
    "surprise": ("Surprise", "15,786", "237,041", "1,518"),
    "confusion": ("Confusion", "56,683", "265,495", "9,377"),
    "disgust": ("Disgust", "10,065", "32,044", "346"),
    "contempt": ("Contempt", "8,581", "18,537", "569"),
    "empathy": ("Empathy", "10,173", "21,444", "745"),
    "neutral": ("Neutral", "840,611", "877,410", "18,895"),
    "other": ("Other", "57,425", "52,375", "1,703"),
}
"""Tables 3 and 4: all frames; training and validation after resampling."""
_TOTAL: Final = ("Total Count", "1,059,505", "1,505,443", "43,492")
_EVERYTHING: Final = "everything that was annotated"
_NO_SUCH: Final = "no such class here"


def data_section(results: Results) -> Section:
    """Return Tables 2 to 4; steps may be missing."""
    return Section(
        title="The data to pre-train on, before and after resampling",
        text="RealEyes' own data is private. Ours are of the manifest that takes its place.",
        items=(_table_2(results), _table_3(results), _table_4(results)),
    )


def _count(
    results: Results,
    value: float | None,
    *,
    n: int,
    counted: str = "frames",
    protocol: str = _EVERYTHING,
    note: str = "",
    key: str = COUNTS,
) -> Score:
    return Score(
        value=None if value is None else float(value),
        n=n,
        counted=counted,
        protocol=protocol,
        run=key,
        origin=results[key].origin,
        unit="count",
        note=note,
    )


def _table_2(results: Results) -> Table:
    step = results[COUNTS]
    facts = step.facts
    not_in_manifest = "not in a manifest"
    paper = (
        ("# Videos", "4,973"),
        ("# Frames", "1,059,505"),
        ("Frames per video: mean (standard deviation)", "380 (308.39)"),
        ("Image resolution (here the number of pixels)", "640 x 480"),
        ("# Subjects", "2,616"),
        ("Females/Males", "2,983/1,990"),
        ("Age variation", "[18-69]"),
        ("# Annotators", "7"),
        ("# Emotions", "8"),
    )
    if step.outcome != "done":
        missing: Cell = Missing(reason=step.reason)
        ours: list[Cell] = [missing] * len(paper)
    else:
        videos, frames = facts["videos"], facts["frames"]
        deviation = facts["frames_per_video_deviation"]
        met = sum(count > 0 for count in facts["emotions"].values())
        ours = [
            _count(results, videos, n=videos, counted="videos"),
            _count(results, frames, n=videos, counted="videos"),
            _count(
                results,
                facts["frames_per_video"],
                n=videos,
                counted="videos",
                note=f"standard deviation {deviation:,.2f}",
            ),
            _resolution(results, facts["sizes_px"], videos),
            _count(results, facts["subjects"], n=videos, counted="videos"),
            not_in_manifest,
            not_in_manifest,
            _count(results, facts["annotators"], n=frames),
            _count(results, met, n=frames),
        ]
    return Table(
        title="Table 2: the data set",
        columns=("attribute", "paper", "here"),
        rows=tuple(
            (name, Theirs(text=text), cell) for (name, text), cell in zip(paper, ours, strict=True)
        ),
        note="The paper's frames by its videos are 213 a video, not 380; its females and males are "
        "videos, and its text counts people (1,517 and 1,099). Annotators: the most that said an "
        "emotion of one frame.",
    )


def _resolution(results: Results, sizes: dict[str, int], videos: int) -> Score:
    (first, count), *others = sizes.items()
    more = f", and {len(others)} other sizes" if others else ""
    width, _, height = first.partition(" x ")
    return _count(
        results,
        int(width) * int(height),
        n=videos,
        counted="videos",
        note=f"{first} in {count:,} videos{more}",
    )


def _table_3(results: Results) -> Table:
    facts = results[COUNTS].facts
    return Table(
        title="Table 3: frames of each emotion",
        columns=("emotion", "paper", "here"),
        rows=tuple(
            (
                name,
                Theirs(text=theirs[0]),
                _emotion_cell(results, COUNTS, emotion, facts.get("emotions")),
            )
            for emotion, name, *theirs in _emotion_rows()
        ),
        note="The paper's rows add up to 1,059,503."
        + (
            f" {facts['frames_without_emotion']:,} frames here have no emotion: nobody labelled "
            "them, or no emotion won."
            if facts
            else ""
        ),
    )


def _table_4(results: Results) -> Table:
    found = results[RESAMPLED].facts
    split = found.get("split", "")
    return Table(
        title="Table 4: frames of each emotion after resampling",
        columns=(
            "emotion",
            "paper: training",
            "here: training, before",
            "here: training, after",
            "paper: validation",
            "here: validation",
        ),
        rows=tuple(
            (
                name,
                Theirs(text=theirs[1]),
                _emotion_cell(results, RESAMPLED, emotion, found.get("train_before"), split),
                _emotion_cell(results, RESAMPLED, emotion, found.get("train_after"), split),
                Theirs(text=theirs[2]),
                _emotion_cell(results, RESAMPLED, emotion, found.get("validation"), split),
            )
            for emotion, name, *theirs in _emotion_rows()
        ),
        note="The paper's rows add up to 1,802,568 and 42,647, not to its totals."
        + (
            f" Here {found['sequences_repeated']:,} of {found['sequences']:,} training sequences "
            "hold a rare emotion and no frequent one and are repeated; an epoch draws "
            f"{found['sequences_drawn']:,}. Frames with a face only; the validation side is as it "
            "is."
            if found
            else ""
        ),
    )


def _emotion_rows() -> list[tuple[str, str, str, str, str]]:
    rows = [(emotion, *texts) for emotion, texts in _FRAMES.items()]
    own = [(name, f"{name.capitalize()} (ours only)", "", "", "") for name in EMOTIONS]
    return [*rows, *(row for row in own if row[0] not in _FRAMES), ("", *_TOTAL)]


def _emotion_cell(
    results: Results, key: str, emotion: str, counts: dict[str, int] | None, protocol: str = ""
) -> Cell:
    if emotion and emotion not in EMOTIONS:
        return _NO_SUCH
    if counts is None:
        return Missing(reason=results[key].reason)
    total = sum(counts.values())
    return _count(
        results,
        counts[emotion] if emotion else total,
        n=total,
        protocol=protocol or _EVERYTHING,
        key=key,
    )
