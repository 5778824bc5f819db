"""What `emotrace analyze` shows: progress while it works, a short summary of each input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, Self

from emotrace.cli.terminal import print_note, printable, progress_console, result_console, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from emotrace.analysis.outcomes import InputOutcome
    from emotrace.analysis.pipeline import Progress

VoteName = Literal["none", "maximum", "sum"]
_VOTES = {
    "maximum": ("maximum probability", "vote_by_maximum_probability"),
    "sum": ("summed probabilities", "vote_by_summed_probabilities"),
}
"""salinas2018's rules: what they are called, and where the summary has the winner."""
MAX_FACES_SHOWN = 8
"""Of one input; a crowd would fill the screen, and all of them are in summary.json."""
TOP_EXPRESSIONS = 3
SMALLEST_SHARE_SHOWN = 0.005
"""Rounds to 1 %; less would read "0 %"."""
NAME_WIDTH = 34
"""Columns for an input's name beside its bar, so that the whole fits into 80."""


class AnalyzeDisplay:
    """Shows a batch as it goes; a `BatchObserver`, and a context manager around the batch.

    Progress goes to stderr: moving bars on a terminal, else one line for each finished input of
    several. Summaries go to stdout.
    """

    def __init__(
        self, *, shows_progress: bool, shows_results: bool, vote: VoteName = "none"
    ) -> None:
        self.kept = 0
        """Inputs whose results are complete."""
        self.total = 0
        """Inputs altogether; known once the first one begins."""
        self._done = 0
        self._shows_results = shows_results
        self._vote = vote
        console = progress_console()
        is_live = sys.stderr.isatty() and not console.is_dumb_terminal
        self._bars = _make_bars(console) if shows_progress and is_live else None
        self._shows_lines = shows_progress and not is_live
        self._overall: TaskID | None = None
        self._current: dict[Path, TaskID] = {}
        self._notices_shown: set[str] = set()

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def on_start(self, path: Path, position: int, total: int) -> None:  # noqa: ARG002
        """Put up the bar of the next input."""
        self.total = total
        if self._bars is None:
            return
        if total > 1 and self._overall is None:
            self._overall = self._bars.add_task("all inputs", total=total, text="")
        if self._overall is not None:
            self._bars.update(self._overall, text=f"{self._done} of {total} done")
        is_told_apart = all(path.name != other.name for other in self._current)
        name = path.name if is_told_apart else f"{path.parent.name}/{path.name}"
        bar = self._bars.add_task(_shortened(name), total=None, text="starting")
        self._current[path] = bar

    def on_progress(self, path: Path, progress: Progress) -> None:
        """Move the bar."""
        if self._bars is None or path not in self._current:
            return
        expected = progress.frames_expected
        left = progress.seconds_left
        rate = f"{progress.frames_per_second:.0f} frames/s"
        self._bars.update(
            self._current[path],
            completed=progress.frames_done,
            # A header that promises too little must not leave the bar full while work goes on.
            total=max(expected, progress.frames_done) if expected else None,
            text=rate if left is None else f"{rate}, {_duration(left)} left",
        )

    def on_done(self, outcome: InputOutcome) -> None:
        """Take the bar down and show what was found."""
        self._done += 1
        if outcome.status != "failed":
            self.kept += 1
        if self._bars is not None:
            if (bar := self._current.pop(outcome.path, None)) is not None:
                self._bars.remove_task(bar)
            if self._overall is not None:
                text = f"{self._done} of {self.total} done"
                self._bars.update(self._overall, advance=1, text=text)
        if self._shows_lines and self.total > 1:
            is_new = outcome.status != "failed" and not outcome.was_there
            took = f" in {_duration(outcome.seconds)}" if is_new else ""
            place = f"[{self._done}/{self.total}]"
            print_note(f"{place} {outcome.status}: {outcome.path.name}{took}")
        if outcome.status == "failed":
            return
        if self._shows_results:
            self._show_summary(outcome)
        else:
            self._note_changed_run(outcome.summary or {})

    def _note_changed_run(self, summary: Mapping[str, Any]) -> None:
        """Say on stderr what changes all results (another detector), however quiet the rest is."""
        of_run = set(summary.get("run_notices", ()))
        for notice in self._new_notices(summary):
            if notice in of_run:
                print_note(f"note: {notice}")

    def _show_summary(self, outcome: InputOutcome) -> None:
        # The bars and stdout may share one screen: the bars step aside for the text.
        if self._bars is not None:
            self._bars.stop()
        console = result_console()
        title, *lines = summary_lines(outcome.summary or {}, outcome.path)
        if outcome.was_there:
            title += " (done before)"
        console.print(title, style="bold")
        # Of many inputs, those that were shown by an earlier run are only named.
        is_brief = outcome.was_there and self.total > 1
        for line in [
            *([] if is_brief else lines),
            *vote_lines(outcome.summary or {}, self._vote),
        ]:
            console.print(line)
        if not is_brief:
            self._show_files_and_notices(console, outcome)
        if self._bars is not None:
            self._bars.start()

    def _show_files_and_notices(self, console: Console, outcome: InputOutcome) -> None:
        if outcome.folder is not None:
            files = f"{outcome.folder}: {_file_names(outcome.folder)}"
            console.print(wrapped(console, files, head="  results in "))
        for notice in self._new_notices(outcome.summary or {}):
            console.print(wrapped(console, notice, head="  note: "), style="yellow")

    def _new_notices(self, summary: Mapping[str, Any]) -> list[str]:
        """Return the notices to show: those of the run once, those about this input always.

        The same words about two inputs are two pieces of news: "face 1 is about 12 px wide".
        """
        of_run = set(summary.get("run_notices", ()))
        shown = [
            notice
            for notice in summary.get("notices", ())
            if notice not in of_run or notice not in self._notices_shown
        ]
        self._notices_shown.update(shown)
        return shown


def summary_lines(summary: Mapping[str, Any], path: Path) -> list[str]:
    """Turn an input's `summary.json` into a few lines for a reader.

    Args:
        summary: As `emotrace.analysis.summary.summarize` makes it.
        path: The input.

    Returns:
        A line about the input, then a table of its faces, those seen longest first.
    """
    facts = summary.get("input", {})
    counts = summary.get("counts", {})
    faces: Sequence[Mapping[str, Any]] = summary.get("faces", ())
    what = [_count(counts.get("faces", len(faces)), "face")]
    if facts.get("is_still_image"):
        what.insert(0, f"picture, {facts.get('width')} x {facts.get('height')}")
    else:
        what.insert(0, _count(counts.get("frames", 0), "frame"))
        what.insert(0, _duration(facts.get("duration_seconds") or 0.0))
    if counts.get("shot_cuts"):
        what.append(_count(counts["shot_cuts"], "shot cut"))
    lines = [f"{printable(path.name)}: {', '.join(what)}"]
    if not faces:
        return lines
    ordered = sorted(faces, key=lambda face: (-face["seconds_present"], face["face_id"]))
    rows = [("face", "seen for", "from", "to", "predicted expression, share of its time")]
    rows += [
        (
            str(face["face_id"]),
            _duration(face["seconds_present"]),
            _duration(face["first_seen_seconds"]),
            _duration(face["last_seen_seconds"]),
            _top_expressions(face["emotion_time_shares"]),
        )
        for face in ordered[:MAX_FACES_SHOWN]
    ]
    lines += _aligned(rows)
    if len(faces) > MAX_FACES_SHOWN:
        rest = ordered[MAX_FACES_SHOWN:]
        longest = _duration(rest[0]["seconds_present"])
        lines.append(
            f"  and {_count(len(rest), 'more face')}, seen for {longest} or less: see summary.json"
        )
    return lines


def vote_lines(summary: Mapping[str, Any], vote: VoteName) -> list[str]:
    """Say for which one expression the frames of each face vote; nothing without a vote."""
    faces = summary.get("faces", ())
    if vote == "none" or not faces:
        return []
    rule, key = _VOTES[vote]
    ordered = sorted(faces, key=lambda face: (-face["seconds_present"], face["face_id"]))
    said = [f"face {face['face_id']} {face[key]}" for face in ordered[:MAX_FACES_SHOWN]]
    more = ", ... (summary.json)" if len(faces) > MAX_FACES_SHOWN else ""
    return [f"  vote on the whole clip by {rule}: {', '.join(said)}{more}"]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Pad all columns but the last, to the right as numbers are."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        "  " + "  ".join([*(cell.rjust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def _top_expressions(shares: Mapping[str, float]) -> str:
    known = [(name, share or 0.0) for name, share in shares.items()]
    top = sorted(known, key=lambda item: -item[1])[:TOP_EXPRESSIONS]
    return ", ".join(f"{name} {share:.0%}" for name, share in top if share >= SMALLEST_SHARE_SHOWN)


def _duration(seconds: float) -> str:
    """Return a length or time that a reader grasps: `4.2 s`, `3:05`, `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _file_names(folder: Path) -> str:
    from emotrace.analysis.one_input import RESULT_FILES

    # The user's own files may lie there too.
    return ", ".join(sorted(name for name in RESULT_FILES if (folder / name).is_file()))


def _shortened(name: str) -> str:
    name = printable(name)
    if len(name) <= NAME_WIDTH:
        return name
    # The ending tells files of one series apart better than the middle does.
    return f"{name[: NAME_WIDTH - 13]}...{name[-10:]}"


def _make_bars(console: Console) -> Bars:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16, complete_style="cyan", finished_style="green"),
        TextColumn("{task.fields[text]}", style="cyan", markup=False),
        console=console,
        transient=True,
        # Anything that is printed goes where it was meant to go, not into the bars' stream.
        redirect_stdout=False,
        redirect_stderr=False,
    )
