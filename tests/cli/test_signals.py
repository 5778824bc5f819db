"""SIGTERM stops a run as Ctrl-C does, and a worker of it as ever."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from emotrace.cli.signals import Terminated, exit_code_of, sigterm_interrupts

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a process there cannot be told to stop so")


def test_sigterm_raises_inside_the_block_only() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as told, sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert exit_code_of(told.value) == 143
    assert exit_code_of(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) == before


def _work(is_running: Event) -> None:
    is_running.set()
    time.sleep(30)


def test_a_forked_worker_ends_silently(capfd: pytest.CaptureFixture[str]) -> None:
    context = multiprocessing.get_context("fork")
    is_running = context.Event()
    with sigterm_interrupts():
        worker = context.Process(target=_work, args=(is_running,))
        worker.start()
        # Python forgets a signal that comes in the midst of forking.
        assert is_running.wait(10)
        worker.terminate()
        worker.join(10)
    assert worker.exitcode == -signal.SIGTERM
    assert capfd.readouterr().err == ""
