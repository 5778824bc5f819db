"""Synthetic clips written exactly as each real data set lies on disk: one file per data set.

`LAYOUTS` is the table. A layout holds what its data set holds, and no more: what has no place in it
(a seventh light, contempt) is left out and said to be. Every `WrittenClip` is what that data set's
reader must give back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emotrace.errors import OutputError, UsageError
from emotrace.storage import ensure_folder
from emotrace.synth.layouts.affwild2 import write_affwild2
from emotrace.synth.layouts.ckplus import write_ckplus
from emotrace.synth.layouts.fer2013 import write_fer2013, write_ferplus_csv
from emotrace.synth.layouts.jaffe import write_jaffe
from emotrace.synth.layouts.manifest import write_manifest
from emotrace.synth.layouts.oulu_casia import write_oulu_casia
from emotrace.synth.layouts.ravdess import write_ravdess
from emotrace.synth.layouts.recola import write_recola
from emotrace.synth.layouts.written import LeftOut, Outcome, WrittenClip, WrittenLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.truth import SynthClip

__all__ = [
    "LAYOUTS",
    "Layout",
    "LeftOut",
    "Outcome",
    "WrittenClip",
    "WrittenLabels",
    "write_layout",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One data set's shape on disk."""

    name: str
    """The data set's name in the catalogue of data sets."""
    write: Callable[[Iterable[SynthClip], Path], Iterator[Outcome]]
    summary: str
    """What it holds, in a few words."""
    frame_rate: float | None = None
    """The only frame rate that it has a place for; None for any."""


LAYOUTS: Final[dict[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout(name="ckplus", write=write_ckplus, summary="sequences to the peak; FACS codes"),
        Layout(name="jaffe", write=write_jaffe, summary="one grey picture at the peak"),
        Layout(name="oulu-casia", write=write_oulu_casia, summary="sequences to the peak by light"),
        Layout(
            name="affwild2",
            write=write_affwild2,
            summary="cropped faces; expression, valence, arousal, action units of each frame",
        ),
        Layout(
            name="recola",
            write=write_recola,
            summary="videos; valence and arousal every 40 ms",
            frame_rate=25.0,
        ),
        Layout(name="ravdess", write=write_ravdess, summary="videos named by seven fields"),
        Layout(name="fer2013", write=write_fer2013, summary="faces as text in one csv"),
        Layout(name="ferplus-csv", write=write_ferplus_csv, summary="FER2013 and ten votes a face"),
        Layout(
            name="manifest", write=write_manifest, summary="videos and everything known of them"
        ),
    )
}
"""Every layout, by the name of its data set."""


def write_layout(
    name: str,
    clips: Iterable[SynthClip],
    root: Path,
    *,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Write clips as a data set lies on disk.

    Args:
        name: One of `LAYOUTS`.
        clips: Drawn one after another; memory does not grow with their length.
        root: A folder that is empty or does not exist: leftovers would be read as data.
        on_outcome: Called with each outcome as soon as it is there.

    Returns:
        What each clip became, in the order of writing.

    Raises:
        UsageError: There is no such layout.
        OutputError: The folder is not empty, or cannot be written to.
    """
    layout = LAYOUTS.get(name)
    if layout is None:
        raise UsageError(f"expected a layout out of {', '.join(LAYOUTS)}; got {name!r}")
    if root.is_dir() and any(root.iterdir()):
        raise OutputError(
            f"expected a new or empty folder for the data set; {root} holds files already; "
            "choose another or empty it"
        )
    outcomes = []
    for outcome in layout.write(clips, ensure_folder(root)):
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
    return outcomes
