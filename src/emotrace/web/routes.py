"""What can be asked of the server. The functions' first lines are their descriptions in OpenAPI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

import pyarrow as pa
from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from emotrace.analysis.annotate import ANNOTATED_IMAGE_FILE, ANNOTATED_VIDEO_FILE
from emotrace.analysis.one_input import REPORT_FILE
from emotrace.analysis.report_data import DISPLAY_ORDER
from emotrace.analysis.tables import SEGMENTS_FILE, SUMMARY_FILE, TIMELINE_FILE
from emotrace.errors import InputError
from emotrace.faces import DetectorName
from emotrace.labels import EMOTIONS
from emotrace.version import __version__
from emotrace.video.palette import FACE_COLORS, emotion_color
from emotrace.web.answers import describe_jobs, describe_timeline
from emotrace.web.guard import REPORT_POLICY
from emotrace.web.jobs import Job, JobOptions, check_options
from emotrace.web.live import refuse_unknown
from emotrace.web.pictures import MOST_PICTURE_BYTES
from emotrace.web.uploads import is_form, take_upload

if TYPE_CHECKING:
    from emotrace.web.desk import Desk

_MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".png": "image/png",
}
"""What browsers play. Everything else is handed out as bytes, never as a page."""


class Refusal(BaseModel):
    """What every refusal says."""

    error: str
    """What was expected, what was got, what to do."""


api = APIRouter(
    responses={422: {"model": Refusal}, "4XX": {"model": Refusal}, "5XX": {"model": Refusal}},
    generate_unique_id_function=lambda route: route.name,
)
_Prior = Annotated[str, Query(description="How common each expression is taken to be.")]
_Detector = Annotated[str, Query(description="The face detector.")]
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}


def _desk(request: Request) -> Desk:
    return cast("Desk", request.app.state.desk)


@api.get("/info")
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


@api.post(
    "/jobs",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": _BYTES, "multipart/form-data": _FORM},
        }
    },
)
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
    refuse_unknown(request.query_params, "name", *JobOptions.__dataclass_fields__)
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


@api.get("/jobs")
def list_jobs(request: Request) -> dict[str, Any]:
    """All jobs, newest first, without their files."""
    store = _desk(request).store
    return {"jobs": describe_jobs(reversed(store.all()), store)}


@api.get("/jobs/{job_id}")
def tell_about_job(request: Request, job_id: str) -> dict[str, Any]:
    """One job and how far it has come."""
    desk = _desk(request)
    return desk.describe(desk.job(job_id))


@api.delete("/jobs/{job_id}", status_code=204)
def delete_job(request: Request, job_id: str) -> Response:
    """Stop a job and delete its upload and its results."""
    desk = _desk(request)
    desk.job(job_id)
    desk.store.forget(job_id)
    desk.runner.cancel(job_id)
    if not desk.store.discard(job_id):
        raise HTTPException(500, f"expected to delete all files; some stay in {desk.store.folder}")
    return Response(status_code=204)


@api.get("/jobs/{job_id}/timeline")
def tell_timeline(request: Request, job_id: str) -> Response:
    """A finished job's predictions, arranged by face."""
    desk = _desk(request)
    job = desk.job(job_id)
    paths = (_result(desk, job, name) for name in (TIMELINE_FILE, SEGMENTS_FILE, SUMMARY_FILE))
    # By hand: FastAPI would walk through millions of numbers in search of what is no JSON.
    try:
        told = json.dumps(describe_timeline(*paths), separators=(",", ":"))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise HTTPException(
            500, f"expected whole results of {job.name}; they are damaged: upload it again"
        ) from error
    return Response(told, media_type="application/json")


@api.get("/jobs/{job_id}/media", response_class=FileResponse)
@api.head("/jobs/{job_id}/media", include_in_schema=False)
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


@api.get("/jobs/{job_id}/files/{name}", response_class=FileResponse)
@api.head("/jobs/{job_id}/files/{name}", include_in_schema=False)
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


@api.post(
    "/predict",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _BYTES),
        }
    },
)
async def predict_picture(
    request: Request, prior: _Prior = "default", detector: _Detector = "auto"
) -> dict[str, Any]:
    """The faces of one picture (the body: JPEG, PNG or WebP), at once."""
    desk = _desk(request)
    refuse_unknown(request.query_params, "prior", "detector")
    if is_form(request):
        raise HTTPException(422, "expected the picture as the body; got a form")
    picture = bytearray()
    async for part in request.stream():
        picture += part
        if len(picture) > MOST_PICTURE_BYTES:
            raise HTTPException(413, f"expected a picture of at most {MOST_PICTURE_BYTES} bytes")
    return await desk.live.look_at(bytes(picture), prior=prior, detector=detector)


@api.websocket("/live")
async def look_live(
    socket: WebSocket, prior: _Prior = "default", detector: _Detector = "auto"
) -> None:
    """A live view: pictures in, the faces of each out, in turn."""
    desk = cast("Desk", socket.app.state.desk)
    await desk.live.serve(socket, prior=prior, detector=detector)


def _result(desk: Desk, job: Job, name: str) -> Path:
    if job.is_open:
        raise HTTPException(409, f"expected a finished job; {job.name} is {job.status}")
    try:
        return desk.store.result_file(job, name)
    except InputError as error:
        raise HTTPException(404, str(error)) from error
