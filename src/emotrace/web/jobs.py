"""Uploads and what becomes of them, kept in a folder so that a stopped server loses none."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import shutil
import threading
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from emotrace.analysis.baseline import BaselineSettings
from emotrace.analysis.one_input import RESULT_FILES
from emotrace.analysis.settings import AnalysisSettings
from emotrace.analysis.tables import write_json
from emotrace.errors import EmotraceError, InputError, UsageError
from emotrace.faces import DetectorName
from emotrace.storage import ensure_folder
from emotrace.web.folder_lock import FolderLock

if TYPE_CHECKING:
    from collections.abc import Mapping

JobStatus = Literal["waiting", "running", "done", "damaged", "failed"]
Shown = Literal["original", "annotated", "picture"]
JOB_FILE: Final = "job.json"
_INPUT_FOLDER: Final = "input"
_RESULTS_FOLDER: Final = "results"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows keeps for itself, with any ending."""
_LOG: Final = logging.getLogger(__name__)
_MOST_NAME_BYTES: Final = 150
"""File systems take 255; the results' folder and partial files add to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What the user chose for one upload; the words are those of `emotrace analyze`."""

    prior: str = "default"
    detector: str = "auto"
    detect_every: int = 1
    neutral_baseline: bool = False
    annotated: bool = False
    """Make `annotated.mp4` too. It is made in any case where a browser cannot play the upload."""

    def settings(self, *, threads: int = 0) -> AnalysisSettings:
        """Return how the upload is to be analysed.

        Raises:
            UsageError: A value that cannot work.
        """
        return AnalysisSettings(
            detector=cast("DetectorName", self.detector),
            detect_every=self.detect_every,
            baseline=BaselineSettings() if self.neutral_baseline else None,
            threads=threads,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One upload and how far it has come."""

    job_id: str
    name: str
    """The file's name as the user has it; safe as a file name here."""
    size_bytes: int
    created: str
    """ISO 8601, UTC."""
    options: JobOptions
    status: JobStatus = "waiting"
    progress: Mapping[str, Any] | None = None
    """Of a running job: the fields of `emotrace.analysis.progress.Progress`."""
    error: str | None = None
    """Why it failed, or what is missing of a damaged upload."""
    notices: tuple[str, ...] = ()
    """What to know about this video."""
    run_notices: tuple[str, ...] = ()
    """What to know about how it was analysed; the same for most."""
    shown: Shown | None = None
    """What a browser is to show: the upload itself, or what was drawn from it."""
    results: str | None = None
    """Folder of the results below the job's own; None while there are none."""

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("waiting", "running")

    def to_json(self) -> dict[str, Any]:
        """Return it ready for `job.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Job:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        known = dict(value)
        options = JobOptions(**known.pop("options"))
        job = cls(
            **{
                **known,
                "notices": tuple(known["notices"]),
                "run_notices": tuple(known.get("run_notices", ())),
                "options": options,
                "progress": None,
            }
        )
        if job.status not in get_args(JobStatus):
            raise ValueError(f"expected a job's status; got {job.status!r}")
        return job


class JobStore:
    """All jobs of a folder. May be used from several threads.

    Every job has a folder of its own, named by its id and readable by this user only, with
    `job.json`, the upload in `input/` and the results in `results/`. Jobs that a stopped server
    left waiting or running wait again.

    Args:
        folder: Made where missing. It belongs to this store until `close`.

    Raises:
        OutputError: The folder cannot be written to, or belongs to another server.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = ensure_folder(Path(folder))
        self._folder_lock = FolderLock(self.folder)
        self._jobs: dict[str, Job] = {}
        self._changing = threading.Lock()
        for place in sorted(self.folder.iterdir()):
            if _ID.fullmatch(place.name) and place.is_dir():
                self._take_back(place)

    def close(self) -> None:
        """Let the folder go: another server may have it now."""
        self._folder_lock.release()

    def receive(self, name: str) -> tuple[str, Path]:
        """Make a place for an upload.

        Returns:
            The id of the job to be, and the path that the upload is to be written to. Until
            `submit` has been called there is no job; `discard` takes the place back.

        Raises:
            OSError: The place cannot be made.
        """
        job_id = secrets.token_hex(8)
        # People's faces: nobody else on this machine needs to see them.
        (self.folder / job_id).mkdir(mode=0o700)
        place = self.folder / job_id / _INPUT_FOLDER
        place.mkdir()
        return job_id, place / safe_name(name)

    def discard(self, job_id: str) -> bool:
        """Delete the files of a forgotten job, or of an upload that came to nothing.

        Returns:
            Whether nothing is left. What the system will not delete is no job any more, though.
        """
        place = self.folder / job_id
        with contextlib.suppress(OSError):
            (place / JOB_FILE).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        return not place.exists()

    def submit(self, job_id: str, upload: Path, options: JobOptions) -> Job:
        """Make a job of a whole upload.

        Raises:
            OutputError: Its file cannot be written.
        """
        job = Job(
            job_id=job_id,
            name=upload.name,
            size_bytes=upload.stat().st_size,
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            options=options,
        )
        with self._changing:
            self._write(job)
            self._jobs[job_id] = job
        return job

    def get(self, job_id: str) -> Job | None:
        """Return a job as it is now; None where there is none of this id."""
        with self._changing:
            return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self._changing:
            return sorted(self._jobs.values(), key=lambda job: (job.created, job.job_id))

    def queue(self) -> dict[str, int]:
        """Return the waiting jobs' ids, each with its place in the queue, from 1."""
        waiting = (job.job_id for job in self.all() if job.status == "waiting")
        return {job_id: place for place, job_id in enumerate(waiting, start=1)}

    def change(self, job_id: str, **changes: Any) -> Job | None:
        """Change fields of a job, on disk too unless it is its progress only.

        What cannot be written (a full disk) holds in memory all the same, and is logged: a job must
        not be lost for it, nor those behind it.

        Returns:
            The job as it is now; None where it has been deleted meanwhile.
        """
        with self._changing:
            job = self._jobs.get(job_id)
            if job is None:
                return None
            job = self._jobs[job_id] = replace(job, **changes)
            if set(changes) != {"progress"}:
                try:
                    self._write(job)
                except (OSError, EmotraceError) as error:
                    _LOG.warning("job %s (%s): %s", job_id, job.name, error)
            return job

    def forget(self, job_id: str) -> None:
        """Take a job out of the store; its files stay until `discard`."""
        with self._changing:
            self._jobs.pop(job_id, None)

    def upload_path(self, job: Job) -> Path:
        """Return where the upload lies."""
        return self.folder / job.job_id / _INPUT_FOLDER / job.name

    def results_root(self, job: Job) -> Path:
        """Return the folder that results are to be written below."""
        return self.folder / job.job_id / _RESULTS_FOLDER

    def result_files(self, job: Job) -> dict[str, Path]:
        """Return the files of a finished job's results by name, in the order of the names."""
        if job.results is None:
            return {}
        folder = self.results_root(job) / job.results
        with contextlib.suppress(OSError):
            return {
                path.name: path for path in sorted(folder.iterdir()) if path.name in RESULT_FILES
            }
        return {}

    def result_file(self, job: Job, name: str) -> Path:
        """Return one file of a job's results.

        Raises:
            InputError: There is no such file.
        """
        files = self.result_files(job)
        if name not in files:
            known = ", ".join(files) or "no results"
            raise InputError(f"expected one of the job's files ({known}); got {name!r}")
        return files[name]

    def _take_back(self, place: Path) -> None:
        try:
            job = Job.from_json(json.loads((place / JOB_FILE).read_text(encoding="utf-8")))
            is_whole = job.job_id == place.name and self.upload_path(job).is_file()
        except FileNotFoundError:
            if [path.name for path in place.iterdir()] == [_INPUT_FOLDER]:
                self.discard(place.name)  # an upload that was never finished
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning("%s is left alone: no job can be read there (%s)", place, error)
            return
        if is_whole:
            status = "waiting" if job.is_open else job.status
            self._jobs[job.job_id] = replace(job, status=status)

    def _write(self, job: Job) -> None:
        write_json(self.folder / job.job_id / JOB_FILE, job.to_json())


def safe_name(name: str) -> str:
    r"""Return a name that is safe for a file here, as near to `name` as may be.

    >>> safe_name("C:\\videos\\day 1.mp4")
    'day 1.mp4'
    >>> safe_name("../../.bashrc")
    'bashrc'
    >>> safe_name("...")
    'upload'
    """
    last = re.split(r"[/\\]", name)[-1]
    last = "".join("_" if not letter.isprintable() else letter for letter in last)
    last = re.sub(r'[<>:"|?*]', "_", last).strip(" .")
    while len(last.encode("utf-8", "replace")) > _MOST_NAME_BYTES:
        stem, dot, ending = last.rpartition(".")
        # The ending stays, as programs go by it.
        last = f"{stem[:-1]}.{ending}" if dot and len(ending) < 10 and stem else last[:-1]
    last = last.encode("utf-8", "replace").decode().strip(" .") or "upload"
    return f"_{last}" if _DEVICE.match(last) else last


def check_options(options: JobOptions, *, priors: tuple[str, ...]) -> None:
    """Refuse options that cannot work, before a file is analysed for nothing.

    Raises:
        UsageError: One of them; the message says what was expected.
    """
    detectors: tuple[str, ...] = get_args(DetectorName)
    for what, value, known in (
        ("prior", options.prior, priors),
        ("detector", options.detector, detectors),
    ):
        if value not in known:
            raise UsageError(f"expected {what} to be one of {', '.join(known)}; got {value!r}")
    options.settings()
