"""The table of data sets: what there is, how to read it, how to obtain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from emotrace.datasets import (
    affwild2,
    ckplus,
    fer2013,
    ferplus_csv,
    jaffe,
    manifest,
    oulu_casia,
    ravdess,
    recola,
)
from emotrace.datasets.affwild2 import read_affwild2
from emotrace.datasets.ckplus import read_ckplus
from emotrace.datasets.fer2013 import read_fer2013
from emotrace.datasets.ferplus_csv import read_ferplus_csv, read_ferplus_parquet
from emotrace.datasets.jaffe import read_jaffe
from emotrace.datasets.manifest import read_manifest
from emotrace.datasets.oulu_casia import read_oulu_casia
from emotrace.datasets.ravdess import read_ravdess
from emotrace.datasets.recola import read_recola
from emotrace.datasets.selections import select
from emotrace.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from emotrace.datasets.findings import Findings
    from emotrace.datasets.records import ClipRecord


class Reader(Protocol):
    """Reads a data set; options of its own have defaults."""

    def __call__(self, root: str | Path, *, findings: Findings | None = None) -> list[ClipRecord]:
        """Return the records of the set in `root`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEntry:
    """What is known of a data set without having it."""

    name: str
    title: str
    read: Reader
    """Called with `root`, options of the data set's own, and `findings`."""
    size: str
    labels: str
    licence: str
    obtain: str
    """How to get it."""
    paper: str
    layout: str
    """What `root` holds, in one line."""
    expected_clips: int | None = None
    """How many clips its reader gives of the whole set; None where that is not published."""
    expected_subjects: int | None = None
    expected_emotions: int | None = None
    """How many of the clips have a label of their own, where that is published."""


_FERPLUS_PAPER: Final = "Barsoum et al. (2016), arXiv:1608.01041"
_FERPLUS_LICENCE: Final = "votes: MIT; pictures: as FER2013"
_EIGHT: Final = "8 expressions"

DATASETS: Final[dict[str, DatasetEntry]] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name=ckplus.NAME,
            title="CK+, extended Cohn-Kanade",
            read=read_ckplus,
            size="593 posed sequences of 10 to 60 pictures, 123 people",
            labels="7 expressions with contempt for 327 sequences; action units at the peak",
            licence="research only, signed agreement; do not pass on",
            obtain="request it from the Affect Analysis Group, University of Pittsburgh",
            paper="Lucey et al. (2010), CVPR Workshops",
            layout="cohn-kanade-images/S005/001/*.png, Emotion/, FACS/",
            expected_clips=593,
            expected_subjects=123,
            expected_emotions=327,
        ),
        DatasetEntry(
            name=jaffe.NAME,
            title="JAFFE, Japanese female facial expression",
            read=read_jaffe,
            size="213 pictures, 10 women",
            labels="6 expressions and neutral",
            licence="non-commercial research; do not pass on",
            obtain="request it on Zenodo, record 3451524",
            paper="Lyons et al. (1998), Face and Gesture Recognition",
            layout="KA.AN1.39.tiff, ...",
            expected_clips=213,
            expected_subjects=10,
            expected_emotions=213,
        ),
        DatasetEntry(
            name=oulu_casia.NAME,
            title="Oulu-CASIA NIR-VIS",
            read=read_oulu_casia,
            size="2,880 posed sequences, 80 people, 2 cameras x 3 lights",
            labels="6 expressions",
            licence="research only, signed agreement; do not pass on",
            obtain="request it from the Center for Machine Vision, University of Oulu",
            paper="Zhao et al. (2011), Image and Vision Computing 29(9)",
            layout="OriginalImg/VL/Strong/P001/Anger/000.jpeg, ...",
            expected_clips=2880,
            expected_subjects=80,
            expected_emotions=2880,
        ),
        DatasetEntry(
            name=affwild2.NAME,
            title="Aff-Wild2 (ABAW)",
            read=read_affwild2,
            size="564 videos, 2.8 million frames, 554 people",
            labels="each frame: valence and arousal, 7 expressions and other, 12 action units",
            licence="non-commercial research, signed agreement; do not pass on",
            obtain="request it from the organisers of the ABAW competition",
            paper="Kollias and Zafeiriou (2019), arXiv:1811.07770",
            layout="annotations/VA_Set/Train_Set/*.txt, cropped_aligned/ or batch1/, batch2/",
        ),
        DatasetEntry(
            name=recola.NAME,
            title="RECOLA",
            read=read_recola,
            size="46 recordings of 5 minutes (27 in AVEC's shape)",
            labels="valence and arousal every 40 ms by 6 annotators",
            licence="research only, signed agreement; do not pass on",
            obtain="request it from the University of Fribourg (diuf.unifr.ch/main/diva/recola)",
            paper="Ringeval et al. (2013), EmoSPACE",
            layout="ratings_individual/, ratings_gold_standard/, recordings_video/",
        ),
        DatasetEntry(
            name=ravdess.NAME,
            title="RAVDESS (video only, speech)",
            read=read_ravdess,
            size="1,440 clips of 3 to 4 seconds, 24 actors",
            labels="neutral, calm (neutral here) and 6 expressions, two intensities",
            licence="CC BY-NC-SA 4.0",
            obtain="download Video_Speech_Actor_*.zip from Zenodo, record 1188976",
            paper="Livingstone and Russo (2018), PLoS ONE 13(5)",
            layout="Actor_01/02-01-06-01-02-01-01.mp4, ...",
            expected_clips=1440,
            expected_subjects=24,
            expected_emotions=1440,
        ),
        DatasetEntry(
            name=fer2013.NAME,
            title="FER2013",
            read=read_fer2013,
            size="35,887 grey faces of 48 x 48 px",
            labels="6 expressions and neutral",
            licence="none stated; pictures from a web search: do not pass on",
            obtain="download fer2013.csv from the Kaggle challenge's page",
            paper="Goodfellow et al. (2013), arXiv:1307.0414",
            layout="fer2013.csv",
            expected_clips=35_887,
            expected_emotions=35_887,
        ),
        DatasetEntry(
            name=ferplus_csv.NAME,
            title="FER+ (csv)",
            read=read_ferplus_csv,
            size="35,710 grey faces of 48 x 48 px",
            labels=f"10 votes for {_EIGHT}, unknown, not a face",
            licence=_FERPLUS_LICENCE,
            obtain="fer2013new.csv from the repository microsoft/FERPlus; fer2013.csv from Kaggle",
            paper=_FERPLUS_PAPER,
            layout="fer2013.csv, fer2013new.csv",
            expected_clips=35_710,
        ),
        DatasetEntry(
            name=ferplus_csv.PARQUET_NAME,
            title="FER+ and FER2013 in one file",
            read=read_ferplus_parquet,
            size="35,710 grey faces of 48 x 48 px",
            labels=f"10 votes for {_EIGHT}, unknown, not a face",
            licence=_FERPLUS_LICENCE,
            obtain="made from the two csv files of FER+",
            paper=_FERPLUS_PAPER,
            layout="ferplus.parquet",
            expected_clips=35_710,
        ),
        DatasetEntry(
            name=manifest.NAME,
            title="your own data",
            read=read_manifest,
            size="any",
            labels="any of the above, by one annotator or several",
            licence="yours",
            obtain="write the table (docs/datasets.md)",
            paper="Grimm and Kroschel (2005), ASRU, for several annotators",
            layout="manifest.csv or manifest.parquet, and the media that it names",
        ),
    )
}
"""Every data set, by name."""


def find_dataset(name: str) -> DatasetEntry:
    """Return the data set of that name.

    Raises:
        UsageError: There is none; the message lists them.
    """
    entry = DATASETS.get(name)
    if entry is None:
        hint = did_you_mean(name.lower(), DATASETS)
        raise UsageError(f"expected a data set out of {', '.join(DATASETS)}; got {name!r}{hint}")
    return entry


def read_dataset(
    name: str, root: str | Path, *, selections: Sequence[str] = (), **options: Any
) -> list[ClipRecord]:
    """Read a data set's labels; no picture is decoded.

    Args:
        name: One of `DATASETS`.
        root: The folder (or file) that holds it.
        selections: Names of `emotrace.datasets.selections`, applied in this order.
        options: What the data set's reader takes, such as `protocol` or `gold_standard`.

    Raises:
        UsageError: There is no such data set, option or selection.
        DatasetError: The folder is another, or a file in it is damaged or missing.
    """
    return select(call_reader(find_dataset(name), root, **options), *selections)


def call_reader(entry: DatasetEntry, root: str | Path, **options: Any) -> list[ClipRecord]:
    """Call a data set's reader with options that it may not have.

    Raises:
        UsageError: It has no such option; the message lists those that it has.
        DatasetError: As the reader says.
    """
    import inspect

    known = [name for name in inspect.signature(entry.read).parameters if name != "root"]
    for option in options:
        if option not in known:
            listed = ", ".join(name for name in known if name != "findings") or "none"
            raise UsageError(f"expected options of {entry.name} out of {listed}; got {option!r}")
    return entry.read(root, **options)
