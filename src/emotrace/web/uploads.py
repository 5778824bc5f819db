"""Taking an upload in: onto the disk, as a whole or not at all."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from emotrace.errors import OutputError

if TYPE_CHECKING:
    from starlette.requests import Request

    from emotrace.web.jobs import Job, JobOptions, JobStore

_SPARE_BYTES: Final = 256 * 2**20
"""Left free on the disk: results come to a few megabytes, an annotated video to some hundred."""
_NO_ROOM: Final = 507


async def take_upload(
    request: Request, store: JobStore, options: JobOptions, *, name: str | None, most_bytes: int
) -> Job:
    """Keep the file of a request, and make a job of it.

    Args:
        request: Has the file as its body, or as the form field `file`.
        store: Where it is kept.
        options: What the user chose.
        name: The file's name; where not given, that in the form.
        most_bytes: Larger files are refused.

    Raises:
        HTTPException: It is too large (413), empty or missing (422), its size is not known where it
            must be (411), there is no room for it (507), or the server is being stopped (503).
        ClientDisconnect: The client has gone before the end.
    """
    try:
        await run_in_threadpool(_check_room, request, store, most_bytes)
        if not is_form(request):
            return await _take_body(request, store, options, name or "", most_bytes)
        # Forms are spooled to the system's temporary folder before they come here.
        async with request.form(max_files=1) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or len(form) > 1:
                raise HTTPException(
                    422,
                    "expected a form of one file named 'file', options in the address; "
                    f"got {', '.join(form) or 'nothing'}",
                )
            return await run_in_threadpool(
                _take_file, file, store, options, name or file.filename or ""
            )
    except asyncio.CancelledError as error:
        # The server ends and has waited long enough. What it has not sent is not kept.
        raise HTTPException(503, "expected the whole file; the server is being stopped") from error
    except (OSError, OutputError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HTTPException(
            _NO_ROOM, f"expected to keep the upload; got: {reason}; free some space"
        ) from error


async def _take_body(
    request: Request, store: JobStore, options: JobOptions, name: str, most_bytes: int
) -> Job:
    job_id, path = await run_in_threadpool(store.receive, name)
    try:
        target = await run_in_threadpool(path.open, "wb")
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                if size > most_bytes:
                    raise HTTPException(413, _too_large(most_bytes))
                await run_in_threadpool(target.write, part)
        finally:
            await run_in_threadpool(target.close)
        return await run_in_threadpool(_finish, store, job_id, path, options)
    except BaseException:
        store.discard(job_id)
        raise


def _take_file(file: UploadFile, store: JobStore, options: JobOptions, name: str) -> Job:
    job_id, path = store.receive(name)
    try:
        with path.open("wb") as target:
            shutil.copyfileobj(file.file, target, 2**20)
        return _finish(store, job_id, path, options)
    except BaseException:
        store.discard(job_id)
        raise


def _finish(store: JobStore, job_id: str, path: Path, options: JobOptions) -> Job:
    if not path.stat().st_size:
        raise HTTPException(422, "expected a file; got 0 bytes")
    return store.submit(job_id, path, options)


def _check_room(request: Request, store: JobStore, most_bytes: int) -> None:
    """Refuse an upload that cannot be kept before it is sent."""
    stated = request.headers.get("content-length", "")
    size = int(stated) if stated.isdecimal() else None
    if size is not None and size > most_bytes:
        raise HTTPException(413, _too_large(most_bytes))
    folders = [store.folder]
    if is_form(request):
        if size is None or "transfer-encoding" in request.headers:
            raise HTTPException(
                411, "expected a form with a Content-Length; send the file as the body instead"
            )
        folders.append(Path(tempfile.gettempdir()))
    for folder in folders:
        free = shutil.disk_usage(folder).free
        if free < (size or 0) + _SPARE_BYTES:
            raise HTTPException(
                _NO_ROOM, f"expected room for the upload; {free} bytes are free; free some space"
            )


def is_form(request: Request) -> bool:
    """Say whether a request's body is a form."""
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _too_large(most_bytes: int) -> str:
    return f"expected a file of at most {most_bytes} bytes; got more"
