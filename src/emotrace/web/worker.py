"""The process that analyses one upload: a request on stdin, progress and the outcome on stdout.

Each line is a JSON object: `{"progress": ...}` up to ten times a second, then one of
`{"outcome": ...}` and `{"error": "..."}`. `emotrace.web.runner` starts it, a module as a program.
Where the server is gone, the next line cannot be written and the process ends.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emotrace.analysis.annotate import ANNOTATED_IMAGE_FILE, ANNOTATED_VIDEO_FILE
from emotrace.analysis.batch import analyze_inputs
from emotrace.analysis.one_input import OutputChoice
from emotrace.analysis.outcomes import SilentObserver
from emotrace.errors import EmotraceError
from emotrace.video import VideoReader
from emotrace.web.jobs import JobOptions

if TYPE_CHECKING:
    from emotrace.analysis.outcomes import InputOutcome
    from emotrace.analysis.progress import Progress
    from emotrace.timeline import InputFacts

_PLAYED_CODECS: Final = frozenset({"h264", "vp8", "vp9", "av1"})
_PLAYED_CONTAINERS: Final = frozenset({"mp4", "mov", "m4v", "webm"})
_PLAYED_FORMATS: Final = frozenset({"yuv420p", "yuvj420p"})
"""What every browser of the last years plays. Of others it is safer to show what was drawn."""


def is_played_by_browsers(facts: InputFacts, path: Path) -> bool:
    """Say whether browsers can be trusted to play a file."""
    return (
        not facts.is_still_image
        and facts.codec in _PLAYED_CODECS
        and facts.pixel_format in _PLAYED_FORMATS
        and not _PLAYED_CONTAINERS.isdisjoint(facts.container.split(","))
        and path.suffix.lower().lstrip(".") in _PLAYED_CONTAINERS
    )


def analyze_upload(request: dict[str, Any]) -> dict[str, Any]:
    """Analyse one upload and tell of it on stdout.

    Args:
        request: `path`, `out`, `bundle`, `threads`, and as `options` the fields of
            `emotrace.web.jobs.JobOptions`.

    Returns:
        What became of it: `status`, `error`, `notices`, `run_notices`, `results` (the folder's name
        below `out`) and `shown`.

    Raises:
        EmotraceError: Nothing could be done at all.
    """
    path, options = Path(request["path"]), JobOptions(**request["options"])
    with VideoReader(path) as reader:
        is_played = is_played_by_browsers(reader.facts(), path)
    report = analyze_inputs(
        [path],
        request["out"],
        bundle=request["bundle"],
        prior=options.prior,
        settings=options.settings(threads=request["threads"]),
        outputs=OutputChoice(
            csv=True, report=True, subtitles=True, video=options.annotated or not is_played
        ),
        observer=_Teller(),
    )
    (outcome,) = report.outcomes
    summary = outcome.summary or {}
    of_run = summary.get("run_notices", ())
    return {
        "status": "done" if outcome.status == "skipped" else outcome.status,
        "error": None if outcome.error is None else _for_the_user(outcome.error, path),
        "notices": [note for note in summary.get("notices", ()) if note not in of_run],
        "run_notices": list(of_run),
        "results": None if outcome.folder is None else outcome.folder.name,
        "shown": _what_to_show(outcome, is_played=is_played),
    }


def _for_the_user(message: object, path: Path) -> str:
    """Return a message in one line that names the upload as its user does."""
    return " ".join(str(message).split()).replace(str(path), path.name)


def _what_to_show(outcome: InputOutcome, *, is_played: bool) -> str | None:
    if outcome.folder is None:
        return None
    if is_played:
        return "original"
    if (outcome.folder / ANNOTATED_IMAGE_FILE).is_file():
        return "picture"
    return "annotated" if (outcome.folder / ANNOTATED_VIDEO_FILE).is_file() else None


class _Teller(SilentObserver):
    """Passes progress on: the server knows the beginning, and the outcome is the end."""

    def on_progress(self, path: Path, progress: Progress) -> None:  # noqa: ARG002 -- one input
        """Tell how far it has come."""
        _tell({"progress": asdict(progress)})


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Analyse what stdin asks for; return 0 where an outcome or an error was told."""
    request = json.loads(sys.stdin.readline())
    try:
        _tell({"outcome": analyze_upload(request)})
    except EmotraceError as error:
        _tell({"error": _for_the_user(error, Path(request["path"]))})
    except BrokenPipeError:
        # Python would complain on closing what nobody reads any more.
        sys.stdout = None
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
