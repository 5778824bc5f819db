"""One server for each folder: two would take each other's uploads for abandoned ones."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from emotrace.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


class FolderLock:
    """Holds a folder until `release`, or until the process ends, however it does.

    Args:
        folder: An existing folder.

    Raises:
        OutputError: Somebody else holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        try:
            self._descriptor = _open_locked(folder)
        except BlockingIOError as error:
            raise OutputError(
                f"expected a folder of this server's own; another emotrace serves {folder}; "
                "stop that one, or give this one another --folder"
            ) from error

    def release(self) -> None:
        """Let the folder go; may be called again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_locked(folder: Path) -> int | None:
    """Return what holds the lock; None where the file system knows no locks.

    Raises:
        BlockingIOError: Somebody else holds it.
    """
    if sys.platform == "win32":
        import msvcrt

        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            os.close(descriptor)
            raise BlockingIOError(str(error)) from error
        return descriptor
    import fcntl

    # The folder itself can be locked, which leaves no file behind.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # some network file systems
        os.close(descriptor)
        return None
    return descriptor
