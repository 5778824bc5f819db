"""Runs the jobs of a store, oldest first, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, Final

from emotrace.analysis.processes import DEATH_HINT, describe_exit
from emotrace.analysis.settings import AnalysisSettings

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.web.jobs import Job, JobStore

WORKER_COMMAND: Final[tuple[str, ...]] = (sys.executable, "-m", "emotrace.web.worker")
_PATIENCE_SECONDS: Final = 5.0
"""How long a process that is told to end may take for it."""
_TOGETHER_SECONDS: Final = 10.0
"""Where a service or the whole machine is stopped, the signal reaches the processes before the
server, which finishes its answers first, has come to its own end."""
_STOP_SIGNALS: Final = frozenset({-1, -2, -15})
"""Exit codes after SIGHUP, SIGINT and SIGTERM."""


class JobRunner:
    """Takes waiting jobs from a store and analyses them.

    Args:
        store: Whose jobs.
        bundle: The name or folder of the bundle to predict with.
        at_once: Jobs that run at the same time; each gets its share of the processors.
        threads: CPU threads of all of them together; 0 takes all that this process may use.
    """

    def __init__(
        self, store: JobStore, *, bundle: str | Path, at_once: int = 1, threads: int = 0
    ) -> None:
        self._store, self._bundle, self._at_once = store, str(bundle), at_once
        self._threads_each = AnalysisSettings(threads=threads).threads_for_each(at_once)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._changed = threading.Condition()
        self._is_stopped = False
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to run jobs, those that wait already first."""
        self._is_stopped = False
        self._workers = [
            threading.Thread(target=self._work, name=f"emotrace-job-{number}", daemon=True)
            for number in range(self._at_once)
        ]
        for worker in self._workers:
            worker.start()

    def wake(self) -> None:
        """Look for waiting jobs: one has been added."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End running processes and wait for them. Their jobs wait for the next start."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
            processes = list(self._processes.values())
        for process in processes:
            _end(process)
        for worker in self._workers:
            worker.join()
        self._workers = []

    def cancel(self, job_id: str) -> None:
        """End a job's process, if it has one, and wait for its end."""
        with self._changed:
            process = self._processes.get(job_id)
        if process is not None:
            _end(process)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                changes = self._run(job)
            except Exception as error:  # noqa: BLE001 -- the next job must run whatever this one met
                kind = type(error).__name__
                changes = {"status": "failed", "error": f"the analysis failed: {kind}: {error}"}
            with self._changed:
                process = self._processes.pop(job.job_id, None)
                is_told = process is not None and process.returncode in _STOP_SIGNALS
                if is_told and self._store.get(job.job_id) is not None:
                    self._changed.wait_for(lambda: self._is_stopped, _TOGETHER_SECONDS)
                if self._is_stopped and changes["status"] == "failed":
                    # Ended because the server ends, not because of itself.
                    changes = {"status": "waiting"}
            self._store.change(job.job_id, **{"progress": None, **changes})

    def _next(self) -> Job | None:
        """Wait for a job and mark it as running; None at the end."""
        with self._changed:
            while not self._is_stopped:
                for job in self._store.all():
                    if job.status == "waiting":
                        running = self._store.change(job.job_id, status="running")
                        if running is not None:
                            return running
                self._changed.wait()
        return None

    def _run(self, job: Job) -> dict[str, Any]:
        """Analyse one job; return the fields of it that change."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
            process = subprocess.Popen(
                WORKER_COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                encoding="utf-8",
                # Ctrl-C in the server's terminal is for the server, which ends its processes.
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
            with process:
                with self._changed:
                    self._processes[job.job_id] = process
                    is_wanted = not self._is_stopped and self._store.get(job.job_id) is not None
                if not is_wanted:
                    process.terminate()
                answer = self._listen(job, process)
            if answer is not None:
                return answer
            return {"status": "failed", "error": _describe_end(process.returncode, complaints)}

    def _listen(self, job: Job, process: subprocess.Popen[str]) -> dict[str, Any] | None:
        """Hand the request over and follow the answers; None where there is no outcome."""
        if process.stdin is None or process.stdout is None:
            return None
        request = {
            "path": str(self._store.upload_path(job).absolute()),
            "out": str(self._store.results_root(job).absolute()),
            "bundle": self._bundle,
            "threads": self._threads_each,
            "options": asdict(job.options),
        }
        with contextlib.suppress(OSError):  # it has died: there will be no outcome
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.close()
        answer: dict[str, Any] | None = None
        for line in process.stdout:
            told = _parse(line)
            if "progress" in told:
                self._store.change(job.job_id, progress=told["progress"])
            elif "outcome" in told:
                lists = ("notices", "run_notices")
                answer = told["outcome"] | {name: tuple(told["outcome"][name]) for name in lists}
            elif "error" in told:
                answer = {"status": "failed", "error": told["error"]}
        return answer


def _parse(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:  # a library's own words
        return {}
    return told if isinstance(told, dict) else {}


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()


def _describe_end(code: int, complaints: IO[str]) -> str:
    """Say in one line how a process ended that told no outcome."""
    complaints.seek(0)
    lines = [line.strip() for line in complaints.read()[-4000:].splitlines() if line.strip()]
    last = f" ({lines[-1][:300]})" if lines else ""
    return (
        f"the analysis {describe_exit(code)} before it had an outcome{last}; other jobs are not "
        f"affected; {DEATH_HINT}"
    )
