"""The application: what can be asked of the server, and the page that asks it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

from fastapi import APIRouter, FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emotrace.analysis.annotate import ANNOTATED_IMAGE_FILE, ANNOTATED_VIDEO_FILE
from emotrace.analysis.one_input import REPORT_FILE
from emotrace.analysis.report_data import DISPLAY_ORDER
from emotrace.analysis.tables import SEGMENTS_FILE, SUMMARY_FILE, TIMELINE_FILE
from emotrace.bundle import DEFAULT_BUNDLE, load_bundle
from emotrace.errors import BundleError, DownloadError, EmotraceError, InputError, UsageError
from emotrace.faces import DetectorName
from emotrace.labels import EMOTIONS
from emotrace.version import __version__
from emotrace.video.palette import FACE_COLORS, emotion_color
from emotrace.web.answers import describe_files, describe_jobs, describe_timeline
from emotrace.web.guard import LOOPBACK_HOSTS, REPORT_POLICY, Guard
from emotrace.web.jobs import Job, JobOptions, JobStore, check_options
from emotrace.web.live import LiveDesk
from emotrace.web.pictures import MOST_PICTURE_BYTES
from emotrace.web.runner import JobRunner
from emotrace.web.uploads import take_upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Scope

__all__ = ["ServerSettings", "create_app"]

PAGE_FOLDER: Final = Path(__file__).with_name("page")
_MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".png": "image/png",
}
"""What browsers play. Everything else is handed out as bytes, never as a page."""


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
        for name, least in (
            ("jobs_at_once", 1),
            ("threads", 0),
            ("most_live_views", 0),
            ("max_upload_bytes", 1),
        ):
            value = getattr(self, name)
            if value < least:
                raise UsageError(f"expected {name} of at least {least}; got {value}")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def all_names(self) -> frozenset[str]:
        """Under which it may be asked, numeric addresses of this machine in a network aside."""
        own = {socket.gethostname(), socket.getfqdn(), f"{socket.gethostname()}.local"}
        return LOOPBACK_HOSTS | {self.host, *self.names, *(() if self.is_local else own)}


class _Desk:
    """What the routes work with."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        bundle = load_bundle(settings.bundle)  # an error now is better than one at the first job
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
        self.live = LiveDesk(
            settings.bundle, threads=settings.threads, most_views=settings.most_live_views
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


def create_app(settings: ServerSettings) -> FastAPI:
    """Make the application.

    Args:
        settings: How it works. Jobs that an earlier server left in its folder go on.

    Raises:
        BundleError: There is no such bundle, or it cannot be used.
        OutputError: The folder cannot be written to.
    """
    desk = _Desk(settings)

    @contextlib.asynccontextmanager
    async def run_jobs(_: FastAPI) -> AsyncIterator[None]:
        desk.runner.start()
        try:
            yield
        finally:
            await run_in_threadpool(desk.runner.stop)
            desk.store.close()

    app = FastAPI(
        title="emotrace",
        version=__version__,
        description="Predicted expressions of the faces in videos and pictures.",
        lifespan=run_jobs,
        openapi_url="/api/openapi.json",
        # The usual documentation pages fetch their scripts from another site.
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk = desk
    app.include_router(_api, prefix="/api")
    app.add_api_route("/", _page, include_in_schema=False)
    app.add_api_route("/", _page, methods=["HEAD"], include_in_schema=False)
    app.mount("/page", _PageFiles(directory=PAGE_FOLDER), name="page")
    app.add_middleware(Guard, names=settings.all_names, takes_addresses=not settings.is_local)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_wrong_request)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(EmotraceError, _answer_emotrace_error)
    app.add_exception_handler(Exception, _answer_unexpected)
    return app


_ASK_FIRST: Final = {"cache-control": "no-cache"}
"""Browsers ask whether what they keep is still right: a newer server comes with a newer page."""
_api = APIRouter()
_Prior = Annotated[str, Query(description="How common each expression is taken to be.")]
_Detector = Annotated[str, Query(description="The face detector.")]


def _desk(request: Request) -> _Desk:
    return cast("_Desk", request.app.state.desk)


def _page() -> FileResponse:
    return FileResponse(PAGE_FOLDER / "index.html", headers=_ASK_FIRST)


class _PageFiles(StaticFiles):
    """The page's parts."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_ASK_FIRST)
        return response


@_api.get("/info")
def tell_about_server(request: Request) -> dict[str, Any]:
    """What the server is and what it takes."""
    desk = _desk(request)
    return {
        "version": __version__,
        "bundle": desk.about_bundle,
        "priors": list(desk.priors),
        "detectors": list(get_args(DetectorName)),
        "emotions": list(EMOTIONS),
        "display_order": list(DISPLAY_ORDER),
        "colors": {name: emotion_color(name) for name in EMOTIONS},
        "face_colors": list(FACE_COLORS),
        "uncertain_below": desk.uncertain_below,
        "max_upload_bytes": desk.settings.max_upload_bytes,
        "most_live_views": desk.settings.most_live_views,
    }


@_api.post("/jobs", status_code=202)
async def add_job(
    request: Request,
    name: Annotated[str | None, Query(description="The file's name.")] = None,
    prior: _Prior = "default",
    detector: _Detector = "auto",
    detect_every: Annotated[int, Query(description="Look for faces in every N-th frame.")] = 1,
    neutral_baseline: Annotated[
        bool, Query(description="Take out each face's own resting expression.")
    ] = False,
    annotated: Annotated[bool, Query(description="Make annotated.mp4 too.")] = False,
) -> dict[str, Any]:
    """Upload a video, GIF or picture to be analysed: as the body, or as the form's `file`."""
    desk = _desk(request)
    options = JobOptions(
        prior=prior,
        detector=detector,
        detect_every=detect_every,
        neutral_baseline=neutral_baseline,
        annotated=annotated,
    )
    check_options(options, priors=desk.priors)
    limit = desk.settings.max_upload_bytes
    job = await take_upload(request, desk.store, options, name=name, most_bytes=limit)
    await run_in_threadpool(desk.runner.wake)
    return desk.describe(job)


@_api.get("/jobs")
def list_jobs(request: Request) -> dict[str, Any]:
    """All jobs, newest first, without their files."""
    store = _desk(request).store
    return {"jobs": describe_jobs(reversed(store.all()), store)}


@_api.get("/jobs/{job_id}")
def tell_about_job(request: Request, job_id: str) -> dict[str, Any]:
    """One job and how far it has come."""
    desk = _desk(request)
    return desk.describe(desk.job(job_id))


@_api.delete("/jobs/{job_id}", status_code=204)
def delete_job(request: Request, job_id: str) -> Response:
    """Stop a job and delete its upload and its results."""
    desk = _desk(request)
    desk.job(job_id)
    desk.store.forget(job_id)
    desk.runner.cancel(job_id)
    if not desk.store.discard(job_id):
        raise HTTPException(500, f"expected to delete all files; some stay in {desk.store.folder}")
    return Response(status_code=204)


@_api.get("/jobs/{job_id}/timeline")
def tell_timeline(request: Request, job_id: str) -> Response:
    """A finished job's predictions, arranged by face."""
    desk = _desk(request)
    job = desk.job(job_id)
    paths = (_result(desk, job, name) for name in (TIMELINE_FILE, SEGMENTS_FILE, SUMMARY_FILE))
    # By hand: FastAPI would walk through millions of numbers in search of what is no JSON.
    told = json.dumps(describe_timeline(*paths), separators=(",", ":"))
    return Response(told, media_type="application/json")


@_api.get("/jobs/{job_id}/media")
@_api.head("/jobs/{job_id}/media", include_in_schema=False)
def send_media(request: Request, job_id: str) -> FileResponse:
    """The video or picture to be shown: the upload, or what was drawn from it."""
    desk = _desk(request)
    job = desk.job(job_id)
    if job.shown == "annotated":
        path = _result(desk, job, ANNOTATED_VIDEO_FILE)
    elif job.shown == "picture":
        path = _result(desk, job, ANNOTATED_IMAGE_FILE)
    else:
        path = desk.store.upload_path(job)
        if not path.is_file():
            raise HTTPException(404, f"expected {job.name}; it has been deleted")
    media_type = _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=media_type, headers={"cache-control": "private"})


@_api.get("/jobs/{job_id}/files/{name}")
@_api.head("/jobs/{job_id}/files/{name}", include_in_schema=False)
def send_file(request: Request, job_id: str, name: str) -> FileResponse:
    """A file of a finished job's results."""
    desk = _desk(request)
    path = _result(desk, desk.job(job_id), name)
    if name == REPORT_FILE:
        return FileResponse(path, headers={"content-security-policy": REPORT_POLICY})
    job = desk.job(job_id)
    return FileResponse(
        path, media_type="application/octet-stream", filename=f"{Path(job.name).stem}-{name}"
    )


@_api.post("/predict")
async def predict_picture(
    request: Request, prior: _Prior = "default", detector: _Detector = "auto"
) -> dict[str, Any]:
    """The faces of one picture (the body: JPEG, PNG or WebP), at once."""
    desk = _desk(request)
    picture = bytearray()
    async for part in request.stream():
        picture += part
        if len(picture) > MOST_PICTURE_BYTES:
            raise HTTPException(413, f"expected a picture of at most {MOST_PICTURE_BYTES} bytes")
    return await desk.live.look_at(bytes(picture), prior=prior, detector=detector)


@_api.websocket("/live")
async def look_live(
    socket: WebSocket, prior: _Prior = "default", detector: _Detector = "auto"
) -> None:
    """A live view: pictures in, the faces of each out, in turn."""
    desk = cast("_Desk", socket.app.state.desk)
    await desk.live.serve(socket, prior=prior, detector=detector)


def _result(desk: _Desk, job: Job, name: str) -> Path:
    if job.is_open:
        raise HTTPException(409, f"expected a finished job; {job.name} is {job.status}")
    try:
        return desk.store.result_file(job, name)
    except InputError as error:
        raise HTTPException(404, str(error)) from error


async def _answer_http_error(_: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    return JSONResponse({"error": str(known.detail)}, known.status_code, headers=known.headers)


async def _answer_nobody(_: Request, __: Exception) -> Response:
    # Nobody hears it; it keeps a broken upload from looking like a fault of the server.
    return JSONResponse({"error": "expected the whole request; it broke off"}, 400)


async def _answer_wrong_request(_: Request, error: Exception) -> Response:
    first = cast("RequestValidationError", error).errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    message = f"expected another {where}: {first['msg']}; got {first.get('input')!r}"
    return JSONResponse({"error": message}, 422)


async def _answer_emotrace_error(_: Request, error: Exception) -> Response:
    status = 422 if isinstance(error, InputError | UsageError) else 500
    if isinstance(error, BundleError | DownloadError):
        status = 503
    return JSONResponse({"error": str(error)}, status)


async def _answer_unexpected(_: Request, error: Exception) -> Response:
    # The traceback is in the server's own window.
    message = f"unexpected {type(error).__name__}: {error}; this is a bug in emotrace"
    return JSONResponse({"error": message}, 500)
