"""Being told to stop: SIGTERM ends a run as tidily as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EXIT_INTERRUPTED = 128 + int(signal.SIGINT)
EXIT_TERMINATED = 128 + int(signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whatever cleans up after Ctrl-C cleans up after it too."""


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """Return the exit code that a shell expects: 143 after SIGTERM, else 130."""
    return EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_INTERRUPTED


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM while the block runs.

    Does nothing in another thread, or where somebody handles the signal already.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    owner = os.getpid()

    def take(_number: int, _frame: FrameType | None) -> None:
        if os.getpid() == owner:
            raise Terminated
        # A forked worker has this handler too: to stop it must not look like a failure of its own.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, take)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
