"""Where a paper's data comes from: a folder that the user has, a manifest, or the drawing board."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emotrace.datasets.catalogue import find_dataset, read_dataset
from emotrace.datasets.selections import select
from emotrace.errors import DatasetError, UsageError
from emotrace.storage import ensure_folder
from emotrace.synth.layouts import LeftOut, write_layout
from emotrace.synth.plans import plan_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emotrace.datasets.records import ClipRecord
    from emotrace.papers.plan import PaperDataset, Source
    from emotrace.papers.report import Origin
    from emotrace.papers.workshop import Workshop
    from emotrace.synth.truth import SynthClip

MANIFEST: Final = "manifest"
_MANIFEST_SUFFIXES: Final = (".csv", ".parquet")
_MANIFEST_FILES: Final = ("manifest.csv", "manifest.parquet")


class DataNotGivenError(DatasetError):
    """A data set is neither given nor to be drawn; the message says how to get it."""


@dataclass(frozen=True, kw_only=True)
class Supply:
    """Where one data set comes from."""

    name: str
    reader: str
    """The catalogue's reader that reads it."""
    root: Path
    origin: Origin
    is_stand_in: bool = False
    """A manifest in the place of a data set that is none."""

    def read(self, source: Source) -> Chosen:
        """Read its labels and select; a manifest knows nothing of another data set's options.

        Raises:
            DatasetError: It is not there or damaged, or nothing is left of it.
        """
        own = {} if self.is_stand_in else dict(source.options)
        every = read_dataset(self.reader, self.root, **own)
        notices: list[str] = []
        for selections in (source.selections, *source.otherwise):
            left = [("read", len(every))]
            records = every
            try:
                for name in selections:
                    records = select(records, name)
                    left.append((name, len(records)))
            except UsageError as error:
                notices.append(f"{self.name}: {', '.join(selections)} cannot be made: {error}")
                continue
            if records:
                return Chosen(
                    records=records,
                    selections=selections,
                    left=tuple(left),
                    notices=tuple(notices),
                )
            notices.append(
                f"{self.name}: nothing of its {len(every):,} clips is left after "
                f"{', '.join(selections) or 'reading'}"
            )
        raise DatasetError(
            f"expected clips of {self.name} in {self.root}; nothing is left: {'; '.join(notices)}"
        )


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The clips that a selection leaves."""

    records: list[ClipRecord]
    selections: tuple[str, ...]
    """Those that were applied."""
    left: tuple[tuple[str, int], ...]
    """`read` and each selection, with how many clips were left."""
    notices: tuple[str, ...]
    """Selections that were to be made first, and why they were not."""


def parse_data(words: Sequence[str]) -> dict[str, Path]:
    """Turn `NAME=ROOT` words into roots by name.

    Raises:
        UsageError: A word has no `=`, or a name comes twice.

    >>> parse_data(["ckplus=faces/CK+"])["ckplus"].name
    'CK+'
    """
    roots: dict[str, Path] = {}
    for word in words:
        name, sign, root = word.partition("=")
        if not sign or not name or not root:
            raise UsageError(f"expected --data NAME=ROOT, as in ckplus=CK+/; got {word!r}")
        if name in roots:
            raise UsageError(f"expected each --data once; got {name} twice")
        roots[name] = Path(root)
    return roots


def supply(
    workshop: Workshop,
    dataset: PaperDataset,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Supply:
    """Find, or draw, a data set.

    Args:
        workshop: Has what the user gave, and the place for what is drawn.
        dataset: Of the paper.
        progress: Called with what is being drawn, clips done and clips in all.

    Raises:
        DataNotGivenError: It is neither given nor to be drawn.
        DatasetError: The given folder is not there.
    """
    order = workshop.order
    root = order.data.get(dataset.name)
    if root is not None:
        if not root.exists():
            raise DatasetError(f"expected {dataset.name} at {root}; there is nothing")
        reader = MANIFEST if is_manifest(root) else dataset.catalogue_name
        return Supply(
            name=dataset.name,
            reader=reader,
            root=root,
            origin="real",
            is_stand_in=reader != dataset.catalogue_name,
        )
    sets = dataset.synthetic_sets(order.scale)
    if not order.synthetic or not sets:
        entry = find_dataset(dataset.catalogue_name)
        raise DataNotGivenError(
            f"{dataset.name} is not given; {entry.obtain}; then --data {dataset.name}=ROOT"
            + (", or --synthetic to draw it" if sets else "")
        )
    root = workshop.drawn_data(dataset.name)
    if not root.exists():
        _draw(dataset, workshop, root, progress)
    return Supply(name=dataset.name, reader=dataset.catalogue_name, root=root, origin="synthetic")


def is_manifest(root: Path) -> bool:
    """Say whether a root is a table of the user's own, or a folder with one."""
    if root.is_file():
        return root.suffix in _MANIFEST_SUFFIXES and not root.name.startswith("fer2013")
    return any((root / name).is_file() for name in _MANIFEST_FILES)


def _draw(
    dataset: PaperDataset,
    workshop: Workshop,
    root: Path,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    """Draw a data set beside its place, and move it there when it is whole."""
    order = workshop.order
    layout = dataset.catalogue_name
    sets = [replace(one, seed=one.seed + order.seed) for one in dataset.synthetic_sets(order.scale)]
    total = sum(one.clips for one in sets)
    clips: Iterator[SynthClip] = itertools.chain.from_iterable(
        plan_set(one, layout=layout) for one in sets
    )
    partial = ensure_folder(root.parent) / f".{root.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    done = itertools.count(1)

    def tell(_: object) -> None:
        if progress is not None:
            progress(f"drawing {dataset.name}", next(done), total)

    outcomes = write_layout(layout, clips, partial, on_outcome=tell)
    if all(isinstance(one, LeftOut) for one in outcomes):
        raise DatasetError(f"expected clips to be drawn for {dataset.name}; all were left out")
    partial.rename(root)
