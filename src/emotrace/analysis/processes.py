"""Inputs side by side, in processes of their own.

One video keeps two or three cores busy: decoding, finding faces and the model each have one. With
more cores, or for the last third of two, several videos at a time are faster. A process that dies
takes one input with it; another takes its place.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, cast

import cv2

from emotrace.analysis.one_input import InputRunner, OutputChoice
from emotrace.analysis.outcomes import InputOutcome
from emotrace.bundle import load_bundle
from emotrace.errors import EmotraceError
from emotrace.faces import DetectorChoice, choose_detector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path
    from types import FrameType

    from emotrace.analysis.outcomes import BatchObserver
    from emotrace.analysis.progress import Progress
    from emotrace.analysis.settings import AnalysisSettings
    from emotrace.bundle import PriorChoice

_PATIENCE_SECONDS: Final = 5.0
"""How long a process that is told to end may tidy up."""
DEATH_HINT: Final = (
    "the file may be damaged in a way that the decoder does not survive, or memory ran out"
)
_SCRIPT_HINT: Final = (
    "in a script of your own the call must stand below 'if __name__ == \"__main__\":'"
)
_Word = Literal["ready", "broken", "progress", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One input to be analysed."""

    position: int
    """Its place among all inputs, from 0."""
    path: Path
    folder: Path
    """For its results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRecipe:
    """What a process needs to make a runner of its own; unlike a runner, it can be sent."""

    bundle: str | Path
    prior: PriorChoice
    settings: AnalysisSettings
    detector: str
    """That `settings.detector` has led to: not `auto`."""
    detector_notice: str | None
    outputs: OutputChoice
    overwrite: bool

    def make(self) -> InputRunner:
        """Make the runner.

        Raises:
            BundleError, DetectorError, DownloadError, UsageError: As `load_bundle` and
                `choose_detector` say.
        """
        bundle = load_bundle(self.bundle, prior=self.prior, threads=self.settings.thread_count)
        detector = choose_detector(self.detector).detector
        choice = DetectorChoice(detector=detector, notice=self.detector_notice)
        return InputRunner(bundle, choice, self.settings, self.outputs, self.overwrite)


def run_in_processes(
    tasks: Sequence[Task],
    recipe: RunnerRecipe,
    *,
    jobs: int,
    total: int,
    observer: BatchObserver,
) -> dict[int, InputOutcome]:
    """Analyse inputs, several at the same time.

    Args:
        tasks: The inputs, in their order.
        recipe: Makes each process's runner.
        jobs: How many processes.
        total: How many inputs there are with those that need no process; for the observer.
        observer: Is told what happens, in the calling thread; inputs begin in their order and end
            as they may.

    Returns:
        What became of each input, by its position.

    Raises:
        EmotraceError: No process could start.
    """
    crew = _Crew(tasks, recipe, total, observer)
    try:
        for _ in range(min(jobs, len(tasks))):
            crew.hire()
        while crew.workers:
            for connection in wait([worker.connection for worker in crew.workers]):
                crew.listen(cast("Connection", connection))
    finally:
        crew.dismiss()
    return crew.outcomes


@dataclass(slots=True, eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    is_ready: bool = False
    task: Task | None = None
    started: float = 0.0


class _Crew:
    """The processes, and what is still to be done."""

    def __init__(
        self,
        tasks: Sequence[Task],
        recipe: RunnerRecipe,
        total: int,
        observer: BatchObserver,
    ) -> None:
        self._recipe, self._total, self._observer = recipe, total, observer
        self._waiting = deque(tasks)
        # A forked process would share the threads' locks of this one, held or not.
        self._context = multiprocessing.get_context("spawn")
        self.workers: list[_Worker] = []
        self.outcomes: dict[int, InputOutcome] = {}
        self._has_started = False
        """A process was ready once: they can start, on this machine, from this script."""

    def hire(self) -> None:
        """Start one more process."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._recipe), daemon=True)
        with _sigint_held_back():
            process.start()
        # Only the process itself holds its end now: when it is gone, ours says so.
        theirs.close()
        self.workers.append(_Worker(process, ours))

    def listen(self, connection: Connection) -> None:
        """Take in what a process has to say, or that it is gone."""
        worker = next(worker for worker in self.workers if worker.connection is connection)
        try:
            word, value = cast("tuple[_Word, Any]", connection.recv())
        except (EOFError, OSError):
            self._bury(worker)
            return
        if word == "broken":
            self._let_go(worker)
            self._give_up(value)
            return
        if word == "progress":
            if worker.task is not None:
                self._observer.on_progress(worker.task.path, value)
            return
        worker.is_ready = self._has_started = True
        if word == "done" and worker.task is not None:
            task, worker.task = worker.task, None
            self._note(task, value)
        self._give_next(worker)

    def dismiss(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in list(self.workers):
            self._let_go(worker)

    def _give_next(self, worker: _Worker) -> None:
        if not self._waiting:
            with suppress(OSError):
                worker.connection.send(None)
            self._let_go(worker)
            return
        worker.task, worker.started = self._waiting.popleft(), time.perf_counter()
        self._observer.on_start(worker.task.path, worker.task.position, self._total)
        # Where it has died meanwhile, listening to it will tell.
        with suppress(OSError):
            worker.connection.send(worker.task)

    def _bury(self, worker: _Worker) -> None:
        """Report the input that a dead process had, and put another one in its place."""
        code = self._let_go(worker)
        how = "did not end" if code is None else describe_exit(code)
        if not worker.is_ready:
            hint = "" if self._has_started else f"; {_SCRIPT_HINT}"
            self._give_up(f"one {how} before it was ready{hint}")
            return
        if worker.task is not None:
            seconds = time.perf_counter() - worker.started
            reason = f"its process {how}; {DEATH_HINT}"
            self._note(worker.task, _failure(worker.task, reason, seconds=seconds))
        if self._waiting:
            self.hire()

    def _give_up(self, reason: str) -> None:
        """Do without a process that could not start; without any, the rest fails."""
        if not self._has_started:
            raise EmotraceError(
                f"expected processes for several inputs at a time to start; {reason}; "
                "one input at a time needs none"
            )
        while self._waiting and not self.workers:
            task = self._waiting.popleft()
            self._observer.on_start(task.path, task.position, self._total)
            reason_now = f"no process could be started for it any more: {reason}"
            self._note(task, _failure(task, reason_now))

    def _note(self, task: Task, outcome: InputOutcome) -> None:
        self.outcomes[task.position] = outcome
        self._observer.on_done(outcome)

    def _let_go(self, worker: _Worker) -> int | None:
        """Wait for a process's end; return its exit code, None where it had to be killed."""
        self.workers.remove(worker)
        worker.process.join(_PATIENCE_SECONDS)
        code = worker.process.exitcode
        if code is None:
            worker.process.kill()
            worker.process.join()
        worker.connection.close()
        return code


def describe_exit(code: int) -> str:
    """Say how a process ended.

    >>> describe_exit(-9), describe_exit(3)
    ('was ended by signal 9', 'ended with exit code 3')
    """
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _failure(task: Task, reason: str, *, seconds: float = 0.0) -> InputOutcome:
    message = f"expected to analyse {task.path}; {reason}"
    return InputOutcome(path=task.path, status="failed", error=message, seconds=seconds)


def _work(connection: Connection, recipe: RunnerRecipe) -> None:
    """Analyse one input after another in a process of its own, until there are no more."""
    # Ctrl-C reaches every process of a terminal: the first one decides, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    # OpenCV would take every core for each process.
    cv2.setNumThreads(recipe.settings.thread_count)
    # Where the first process is gone, there is nobody to hear or to ask.
    with suppress(EOFError, OSError):
        try:
            runner = recipe.make()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the first process must know
            connection.send(("broken", _describe(error)))
            return
        connection.send(("ready", None))
        while (task := cast("Task | None", connection.recv())) is not None:
            connection.send(("done", _run(runner, task, connection)))


def _run(runner: InputRunner, task: Task, connection: Connection) -> InputOutcome:
    try:
        return runner.run(task.path, task.folder, partial(_tell_progress, connection))
    except Exception as error:  # noqa: BLE001 -- the other inputs must go on
        return _failure(task, f"got {_describe(error)}")


def _describe(error: Exception) -> str:
    if isinstance(error, EmotraceError):
        return str(error)
    return (
        f"an unexpected {type(error).__name__}: {error}; this is a bug in emotrace: run this input "
        "alone with --debug and report what it prints"
    )


@contextmanager
def _sigint_held_back() -> Iterator[None]:
    """Keep Ctrl-C from a process that has not come to ignoring it: it would print a traceback.

    What is held back reaches this process afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _tell_progress(connection: Connection, progress: Progress) -> None:
    connection.send(("progress", progress))


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    # Raised in the midst of the work, so that what is half written goes.
    sys.exit(128 + int(signal.SIGTERM))
