"""Where downloads are kept, and how files are written so that none is ever half there."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from emotrace.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME_VARIABLE = "EMOTRACE_HOME"


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
        raise OutputError(
            f"expected a folder that can be written to; got {folder} ({error.strerror or error}); "
            "choose another with -o"
        ) from error
    return folder


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write to; it takes `target`'s place only if nothing fails.

    The partial file keeps `target`'s ending, so that libraries that choose a format by it do so.

    Raises:
        OutputError: The system refuses the write (full disk, no permission).
    """
    partial = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
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
