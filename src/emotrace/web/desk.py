"""How the server works, and what its routes work with."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from emotrace.bundle import DEFAULT_BUNDLE
from emotrace.errors import UsageError, require_least
from emotrace.web.answers import describe_files, describe_jobs
from emotrace.web.guard import LOOPBACK_HOSTS, host_name
from emotrace.web.jobs import Job, JobStore
from emotrace.web.live import LiveDesk
from emotrace.web.runner import JobRunner

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server works.

    Raises:
        UsageError: A value that cannot work.
    """

    folder: Path
    """Where uploads and results are kept, until they are deleted."""
    bundle: str = DEFAULT_BUNDLE
    """The model: a name or a folder."""
    host: str = "127.0.0.1"
    """The address that it listens on."""
    names: tuple[str, ...] = ()
    """Under which it may be asked besides, as behind a proxy. Where other machines reach it, it
    also takes its numeric addresses and this machine's own name."""
    jobs_at_once: int = 1
    threads: int = 0
    """CPU threads of all jobs together; 0 takes all that this process may use."""
    most_live_views: int = 4
    max_upload_bytes: int = 4 * 2**30

    def __post_init__(self) -> None:
        require_least(1, jobs_at_once=self.jobs_at_once, max_upload_bytes=self.max_upload_bytes)
        require_least(0, threads=self.threads, most_live_views=self.most_live_views)
        for name in self.names:
            if host_name(name) != name.lower().strip("[]"):
                raise UsageError(
                    f"expected names without a port or an address's other parts; got {name!r}"
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def own_names(self) -> frozenset[str]:
        """Under which it may be asked without being told, numeric addresses aside."""
        if self.is_local:
            return LOOPBACK_HOSTS | {self.host}
        # Asked for only where it matters: a network without a name server lets it wait.
        own = {socket.gethostname(), socket.getfqdn(), f"{socket.gethostname()}.local"}
        return LOOPBACK_HOSTS | {self.host, *own}


class Desk:
    """What the routes work with.

    Args:
        settings: How the server works.

    Raises:
        BundleError: There is no such bundle, or it cannot be used.
        OutputError: The folder cannot be written to, or belongs to another server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.live = LiveDesk(
            settings.bundle, threads=settings.threads, most_views=settings.most_live_views
        )
        bundle = self.live.bundle()  # an error now is better than one at the first job
        self.uncertain_below = bundle.uncertain_threshold
        self.about_bundle = {"name": bundle.name, "licence": bundle.spec.licence}
        named = (*bundle.spec.priors, "uniform") if bundle.spec.priors else ()
        self.priors = tuple(dict.fromkeys(("default", *named)))
        self.store = JobStore(settings.folder)
        self.runner = JobRunner(
            self.store,
            bundle=settings.bundle,
            at_once=settings.jobs_at_once,
            threads=settings.threads,
        )

    def describe(self, job: Job) -> dict[str, Any]:
        """Return what a client is told of a job."""
        (told,) = describe_jobs([job], self.store)
        return told | {"files": describe_files(job, self.store)}

    def job(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            HTTPException: There is none of this id (404).
        """
        job = self.store.get(job_id)
        if job is None:
            raise HTTPException(404, f"expected the id of a job; there is none of id {job_id!r}")
        return job
