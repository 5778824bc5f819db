"""Keeps other web sites from using the server through its user's browser.

A page of any site may send requests to an address of this machine. So the server answers only where
the `Host` is a name that it is meant to have (a foreign name that points here would make the
browser take the server for that site), and only where an `Origin`, if there is one, is the server's
own page. Programs send no `Origin` and are not affected.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
)
REPORT_POLICY: Final = "sandbox allow-scripts allow-popups allow-downloads"
"""A report holds its own scripts and needs nothing of the server: it gets an origin of its own."""


class Guard:
    """ASGI middleware that refuses foreign hosts and origins and sends protective headers.

    Args:
        app: What to protect.
        own_names: Under which the server may be asked.
        names: Under which it may be asked besides, by way of a proxy: the pages of these names are
            its own, whatever the port.
        takes_addresses: Whether it may be asked by any numeric address too. No page of another site
            can have one that is ours; a name could be made to point here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        own_names: Iterable[str],
        names: Iterable[str] = (),
        takes_addresses: bool = False,
    ) -> None:
        self._app = app
        self._proxied = frozenset(name.lower() for name in names)
        self._names = self._proxied.union(name.lower() for name in own_names)
        self._takes_addresses = takes_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        problem = self._problem(scope)
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": problem[:120]})
        else:
            await JSONResponse({"error": problem}, 403)(scope, receive, send)

    def _problem(self, scope: Scope) -> str | None:
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        host = headers.get(b"host", "")
        name = host_name(host)
        if name not in self._names and not (self._takes_addresses and _is_address(name)):
            known = ", ".join(sorted(self._names))
            return f"expected a request to one of {known} (see --names); got one to {host!r}"
        origin = headers.get(b"origin")
        if origin is None:
            return None
        try:
            asking = urlsplit(origin).netloc.lower()
        except ValueError:
            asking = ""
        # A proxy may have put another Host in the place of the name that its users know.
        is_ours = asking == host.lower() or host_name(asking) in self._proxied
        return None if is_ours else f"expected a request of the server's own page; got {origin!r}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_name(host: str) -> str:
    """Return the name in a `Host` or `--names`, without its port; empty where there is none.

    >>> host_name("Lab.example:8000")
    'lab.example'
    """
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {key.lower() for key, _ in headers}
            for key, value in (
                (b"content-security-policy", PAGE_POLICY.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"cross-origin-resource-policy", b"same-origin"),
                (b"referrer-policy", b"no-referrer"),
            ):
                if key not in present:
                    headers.append((key, value))
            message = {**message, "headers": headers}
        await send(message)

    return send_more
