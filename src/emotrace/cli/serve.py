"""`emotrace serve`: the web page and the REST interface."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from emotrace.cli.arguments import Debug, Switch, check_least, parse_arguments
from emotrace.cli.extras import extra_packages
from emotrace.cli.terminal import print_note
from emotrace.errors import EmotraceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

PROGRAM = "emotrace serve"
DESCRIPTION = """\
A web page: drop a video in, watch it with its timeline; a live camera.

For programs there is a REST interface under /api.

Uploads and results stay in a folder until they are deleted on the page.
A server that is started there again goes on with what was left.

Only this machine can reach it, unless --host says otherwise.

Examples:
  emotrace serve
  emotrace serve --open --folder study1
  emotrace serve --port 9000 --jobs 2
"""
SERVE_PACKAGES = frozenset({"fastapi", "starlette", "uvicorn", "python_multipart", "websockets"})
"""What the extra `serve` of pyproject.toml brings, by import name."""
INSTALL_SERVE = 'pip install ".[serve]"'


@dataclass(frozen=True, kw_only=True)
class ServeArguments:
    """The words after `emotrace serve`."""

    port: Annotated[int, tyro.conf.arg(metavar="N")] = 8000
    """Where it listens; 0 takes one that is free."""
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"
    """Address that it listens on; 0.0.0.0 lets every machine in the network in."""
    names: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME...", help_behavior_hint="(default: none)")
    ] = ()
    """Names under which it is asked besides, as that of a proxy before it."""
    folder: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("emotrace-web")
    """Where uploads and results are kept."""
    bundle: Annotated[str, tyro.conf.arg(metavar="NAME|PATH")] = "default"
    """Model: a name in `emotrace bundles list`, or a bundle's folder."""
    jobs: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Videos that are analysed at the same time; each gets its share of the cores."""
    threads: Annotated[
        int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 0, one per core)")
    ] = 0
    """CPU threads."""
    max_upload_mb: Annotated[int, tyro.conf.arg(metavar="N")] = 4096
    """Largest file that it takes, in megabytes (2^20 bytes)."""
    max_live: Annotated[int, tyro.conf.arg(metavar="N")] = 4
    """Live cameras at the same time; 0 takes none."""
    open: Switch = False
    """Open the page in this machine's browser."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb until it is stopped, and return its exit code.

    Raises:
        UsageError: A flag or value cannot work.
        EmotraceError: The extra `serve` is not installed, the port is taken, the folder cannot be
            written to, or there is no such bundle.
    """
    arguments = parse_arguments(ServeArguments, argv, program=PROGRAM, description=DESCRIPTION)
    check_least(1, jobs=arguments.jobs, max_upload_mb=arguments.max_upload_mb)
    check_least(0, threads=arguments.threads, max_live=arguments.max_live)
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"expected --port of 0 to 65535; got {arguments.port}")
    with serve_packages():
        # These two are not missed before they are needed.
        import python_multipart  # noqa: F401
        import uvicorn
        import websockets  # noqa: F401

        from emotrace.web.app import ServerSettings, create_app
        from emotrace.web.pictures import MOST_PICTURE_BYTES
    listener = _listen(arguments.host, arguments.port)
    settings = ServerSettings(
        folder=arguments.folder,
        bundle=arguments.bundle,
        host=listener.getsockname()[0],
        names=(arguments.host, *arguments.names),
        jobs_at_once=arguments.jobs,
        threads=arguments.threads,
        most_live_views=arguments.max_live,
        max_upload_bytes=arguments.max_upload_mb * 2**20,
    )
    with listener:
        app = create_app(settings)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                timeout_graceful_shutdown=3,
                ws_max_size=MOST_PICTURE_BYTES,
                # Pictures are compressed already.
                ws_per_message_deflate=False,
            )
        )
        address = _address(arguments.host, listener.getsockname()[1])
        print_note(f"uploads and results are kept in {arguments.folder.absolute()}")
        if not settings.is_local:
            print_note(
                "whoever can reach this machine in the network sees every video here: there is no "
                "password; browsers give a page the camera at localhost or by https only"
            )
        print_note(f"emotrace is at {address} (Ctrl-C stops it)")
        if arguments.open:
            _open_when_ready(address)
        server.run(sockets=[listener])
    return 0


def serve_packages() -> AbstractContextManager[None]:
    """Say in one line what to install where an import within finds no package for serving.

    Raises:
        EmotraceError: One of `SERVE_PACKAGES` is not installed.
    """
    return extra_packages(
        "serving", SERVE_PACKAGES, install=INSTALL_SERVE, error_kind=EmotraceError
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"expected --host to be an address of this machine; got {host!r} ({reason})"
        ) from error
    try:
        if os.name == "posix":
            # A server that has just ended leaves its port busy for a minute otherwise. On Windows
            # the same word would let two servers have one port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise EmotraceError(
            f"expected to listen on {host}, port {port}; got: {error.strerror or error}; another "
            "server may be there: choose another --port, or 0 for a free one"
        ) from error
    return listener


def _address(host: str, port: int) -> str:
    name = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104 -- compared, not bound
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _open_when_ready(address: str) -> None:
    import threading
    import webbrowser

    # The socket listens already: a request waits until the server takes it.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
