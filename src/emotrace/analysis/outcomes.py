"""What became of the inputs of a batch, and `batch.json`, which keeps that beside the results."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from emotrace.analysis.tables import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from emotrace.analysis.progress import Progress

BATCH_FILE: Final = "batch.json"
Status = Literal["done", "skipped", "damaged", "failed"]
STATUSES: Final[tuple[Status, ...]] = ("done", "skipped", "damaged", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOutcome:
    """What became of one input."""

    path: Path
    status: Status
    """`skipped`: the same analysis of the same file was there already. `damaged`: there are results
    of the part that could be read, and `error` says what is missing."""
    was_there: bool = False
    """The results are those of an earlier run."""
    folder: Path | None = None
    summary: dict[str, Any] | None = None
    error: str | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the input's entry in `batch.json`; its summary stays in its folder."""
        summary = self.summary or {}
        return {
            "path": str(self.path),
            "status": self.status,
            "folder": None if self.folder is None else str(self.folder),
            "error": self.error,
            "detector": summary.get("detector"),
            "notices": list(summary.get("notices", ())),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What became of all inputs, in their order."""

    outcomes: tuple[InputOutcome, ...] = field(default_factory=tuple)

    @property
    def done(self) -> list[InputOutcome]:
        """Those analysed now, and whole."""
        return self._with_status("done")

    @property
    def skipped(self) -> list[InputOutcome]:
        """Those whose results were there already."""
        return self._with_status("skipped")

    @property
    def damaged(self) -> list[InputOutcome]:
        """Those whose end is missing; there are results of what could be read."""
        return self._with_status("damaged")

    @property
    def failed(self) -> list[InputOutcome]:
        """Those that could not be analysed."""
        return self._with_status("failed")

    def to_json(self) -> dict[str, Any]:
        """Return counts and outcomes, ready for JSON; summaries stay in their folders."""
        entries = [outcome.to_json() for outcome in self.outcomes]
        return {"counts": _count(entries), "inputs": entries}

    def _with_status(self, status: Status) -> list[InputOutcome]:
        return [outcome for outcome in self.outcomes if outcome.status == status]


class BatchObserver(Protocol):
    """Is told what happens while a batch runs."""

    def on_start(self, path: Path, position: int, total: int) -> None:
        """Take note that input `position` (from 0) of `total` begins."""

    def on_progress(self, path: Path, progress: Progress) -> None:
        """Take note of how far the current input has come."""

    def on_done(self, outcome: InputOutcome) -> None:
        """Take note of what became of an input."""


class SilentObserver:
    """Takes no note; one that takes note of some things begins with it."""

    def on_start(self, path: Path, position: int, total: int) -> None:
        """Take no note of a beginning."""

    def on_progress(self, path: Path, progress: Progress) -> None:
        """Take no note of progress."""

    def on_done(self, outcome: InputOutcome) -> None:
        """Take no note of an end."""


def describe_damage(path: Path, summary: dict[str, Any]) -> str | None:
    """Say in one line what is missing of an input, from its summary; None if its end is there."""
    facts = summary.get("input", {})
    if not facts.get("is_end_missing"):
        return None
    found_seconds, promised_seconds = facts["duration_seconds"], facts["header_duration_seconds"]
    frames = facts.get("header_frame_count")
    if promised_seconds is None:
        expected = f"the whole of {path}"
    else:
        promised = f"{promised_seconds:.1f} s" + ("" if frames is None else f" ({frames} frames)")
        expected = f"{promised} of video in {path}, as its header promises"
    return (
        f"expected {expected}; "
        f"got {found_seconds:.1f} s ({facts['frame_count']} frames): the end is missing; "
        f"the results hold the first {found_seconds:.1f} s; "
        "get a whole copy and run again, or use them as they are"
    )


def write_batch_file(out_folder: Path, report: BatchReport) -> None:
    """Write `batch.json`: this run's entries, and those of earlier runs for other inputs before.

    `counts` counts all entries, `last_run` those of this run.

    Raises:
        OutputError: The file cannot be written.
    """
    now = report.to_json()
    entries = {_key(entry): entry for entry in _read_entries(out_folder / BATCH_FILE)}
    for entry in now["inputs"]:
        # Anew at the end, in the order of this run.
        entries.pop(_key(entry), None)
        entries[_key(entry)] = entry
    merged = list(entries.values())
    write_json(
        out_folder / BATCH_FILE,
        {"counts": _count(merged), "last_run": now["counts"], "inputs": merged},
    )


def _read_entries(path: Path) -> list[dict[str, Any]]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    entries = value.get("inputs") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and "path" in entry]


def _key(entry: dict[str, Any]) -> str:
    return os.path.abspath(str(entry["path"]))  # noqa: PTH100 -- keeps links apart


def _count(entries: Iterable[dict[str, Any]]) -> dict[str, int]:
    counts = Counter(entry.get("status") for entry in entries)
    return {"inputs": counts.total(), **{status: counts[status] for status in STATUSES}}
