"""Where downloads are kept, and how files are written so that none is ever half there."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from emotrace.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME_VARIABLE = "EMOTRACE_HOME"

_PARTIAL_NAME = re.compile(r"\..*\.(?P<pid>\d+)\.partial(\.[^.]+)?")
_ABANDONED_SECONDS = 24 * 3600
"""A partial file so old is nobody's: numbers of processes are given out again."""


def home_folder() -> Path:
    """Return the folder for downloaded files: `$EMOTRACE_HOME`, or the user's cache folder.

    Files lie in it under their own names, so that a file copied in by hand is found.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "emotrace"


def ensure_folder(folder: Path) -> Path:
    """Create `folder` and its parents where they are missing.

    Raises:
        OutputError: It cannot be made or written to; the message names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A trial write is the only honest answer to "may I write here" (root, ACLs, read-only
        # mounts).
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        if folder.is_file():
            reason = "it is a file"
        elif any(place.is_file() for place in folder.parents):
            reason = "it lies below a file"
        raise OutputError(
            f"expected a folder that can be written to; got {folder} ({reason}); "
            "choose another folder"
        ) from error
    return folder


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write to; it takes `target`'s place only if nothing fails.

    The partial file keeps `target`'s ending, so that libraries that choose a format by it do so.

    Raises:
        OutputError: The system refuses the write (full disk, no permission).
    """
    stem = target.stem.lstrip(".")
    partial = target.with_name(f".{stem}.{os.getpid()}.partial{target.suffix}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise OutputError(
            f"expected to write {target}; got: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error
    finally:
        # Where the target's folder is a file or cannot be read, there is nothing to remove.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_abandoned_partials(folder: Path) -> list[Path]:
    """Delete what `atomic_path` left half written in `folder` when its process was killed.

    A file is abandoned when the process in its name is gone, when it is a day old, or when that
    process is this one, which in a container often has the number of the one before it: call this
    before writing. Nothing else is touched; what cannot be deleted stays.

    Returns:
        The files that were deleted.
    """
    removed: list[Path] = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            match = _PARTIAL_NAME.fullmatch(path.name)
            if match is None or not path.is_file():
                continue
            is_old = time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
            if is_old or not _is_another_alive(int(match["pid"])):
                path.unlink()
                removed.append(path)
    return removed


def _is_another_alive(pid: int) -> bool:
    """Say whether a process other than this one may have the number `pid`."""
    if pid == os.getpid():
        return False
    if sys.platform == "win32":
        # There, signal 0 is Ctrl-C: asking would stop the process. Age alone decides.
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is there and belongs to somebody else
        return True
    return True
