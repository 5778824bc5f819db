"""The application: its routes, its page, and what it says where it refuses."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emotrace.errors import BundleError, DownloadError, EmotraceError, InputError, UsageError
from emotrace.version import __version__
from emotrace.web.desk import Desk, ServerSettings
from emotrace.web.guard import Guard
from emotrace.web.routes import api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Scope

__all__ = ["ServerSettings", "create_app"]

PAGE_FOLDER: Final = Path(__file__).with_name("page")
_ASK_FIRST: Final = {"cache-control": "no-cache"}
"""Browsers ask whether what they keep is still right: a newer server comes with a newer page."""


def create_app(settings: ServerSettings) -> FastAPI:
    """Make the application.

    Args:
        settings: How it works. Jobs that an earlier server left in its folder go on.

    Raises:
        BundleError: There is no such bundle, or it cannot be used.
        OutputError: The folder cannot be written to.
    """
    desk = Desk(settings)

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
        redirect_slashes=False,
    )
    app.state.desk = desk
    app.include_router(api, prefix="/api")
    app.add_api_route("/", _page, include_in_schema=False)
    app.add_api_route("/", _page, methods=["HEAD"], include_in_schema=False)
    app.mount("/page", _PageFiles(directory=PAGE_FOLDER), name="page")
    app.add_middleware(
        Guard,
        own_names=settings.own_names,
        names=settings.names,
        takes_addresses=not settings.is_local,
    )
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_wrong_request)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(EmotraceError, _answer_emotrace_error)
    app.add_exception_handler(Exception, _answer_unexpected)
    return app


def _page() -> FileResponse:
    return FileResponse(PAGE_FOLDER / "index.html", headers=_ASK_FIRST)


class _PageFiles(StaticFiles):
    """The page's parts."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_ASK_FIRST)
        return response


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
