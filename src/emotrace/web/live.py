"""Faces in pictures that come over the network: in one alone, or in a live view's, one by one."""

from __future__ import annotations

import json
import math
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread
from starlette.websockets import WebSocketDisconnect

from emotrace.analysis.live import LiveAnalysis
from emotrace.analysis.settings import AnalysisSettings
from emotrace.bundle import Bundle, load_bundle
from emotrace.errors import EmotraceError, InputError, UsageError, did_you_mean
from emotrace.faces import choose_detector
from emotrace.web.answers import describe_result
from emotrace.web.pictures import decode_picture

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from starlette.websockets import WebSocket

_TRY_AGAIN_LATER: Final = 1013
_POLICY: Final = 1008
_SERVER_ERROR: Final = 1011
_MOST_REASON_BYTES: Final = 120
"""The protocol allows 123."""
_DETECTOR_SECONDS: Final = 300.0
"""So long `auto` stays what it was: seeking YuNet's file where there is no network takes seconds,
which a live view should not wait for each time."""


class LiveDesk:
    """Answers pictures with the faces in them. May be used from several threads.

    Args:
        bundle: The name or folder of the bundle to predict with; loaded when first needed.
        threads: CPU threads; 0 takes all that this process may use. As many pictures, and at least
            two, are worked on at the same time; others wait.
        most_views: Live views at the same time; each one more slows the others down.
    """

    def __init__(self, bundle: str | Path, *, threads: int, most_views: int) -> None:
        self._bundle_name = bundle
        self._settings = AnalysisSettings(threads=threads)
        self._bundles: dict[str, Bundle] = {}
        """By prior, which belongs to a loaded bundle."""
        self._auto: tuple[float, str, tuple[str, ...]] | None = None
        """When `auto` was last decided, for what, and with which notices."""
        self._lock = threading.Lock()
        self._limiter = anyio.CapacityLimiter(max(2, self._settings.thread_count))
        self.most_views = most_views
        self._views = 0

    async def look_at(self, picture: bytes, *, prior: str, detector: str) -> dict[str, Any]:
        """Return what is to be seen in one encoded picture.

        Raises:
            InputError: It is no picture, or too large.
            BundleError, DetectorError, DownloadError, UsageError: There is no such prior or
                detector, or it cannot be had.
        """
        # Seeking a detector's file may wait for the network: live views must not wait with it.
        view = await to_thread.run_sync(self._new_view, prior, detector)
        return await to_thread.run_sync(view.answer, picture, limiter=self._limiter)

    async def serve(self, socket: WebSocket, *, prior: str, detector: str) -> None:
        """Answer a live view's pictures until it goes away.

        Args:
            socket: Not yet accepted.
            prior: See `emotrace.bundle.load_bundle`.
            detector: A detector's name.
        """
        await socket.accept()
        if self._views >= self.most_views:
            reason = f"expected at most {self.most_views} live views; close another one first"
            await socket.close(_TRY_AGAIN_LATER, reason[:_MOST_REASON_BYTES])
            return
        self._views += 1
        try:
            refuse_unknown(socket.query_params, "prior", "detector")
            view = await to_thread.run_sync(self._new_view, prior, detector)
            while (answer := await self._next_answer(socket, view)) is not None:
                await socket.send_text(json.dumps(answer))
        except WebSocketDisconnect:
            return
        except EmotraceError as error:
            await socket.send_text(json.dumps({"error": str(error)}))
            await socket.close(_POLICY if isinstance(error, UsageError) else _SERVER_ERROR)
        finally:
            self._views -= 1

    async def _next_answer(self, socket: WebSocket, view: _View) -> dict[str, Any] | None:
        """Wait for a picture and return the answer to it; None where the view has gone."""
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            try:
                if message.get("text") is not None:
                    view.told_seconds = _parse_time(message["text"])
                    continue
                look = partial(view.answer, message.get("bytes") or b"")
                return await to_thread.run_sync(look, limiter=self._limiter)
            except (InputError, UsageError) as error:
                return {"error": str(error)}

    def bundle(self, prior: str = "default") -> Bundle:
        """Return the bundle with a prior, loaded when first needed.

        Raises:
            BundleError, UsageError: There is no such bundle or prior.
        """
        with self._lock:
            if prior not in self._bundles:
                self._bundles[prior] = load_bundle(
                    self._bundle_name, prior=prior, threads=self._settings.thread_count
                )
            return self._bundles[prior]

    def _new_view(self, prior: str, detector: str) -> _View:
        bundle = self.bundle(prior)
        notices: tuple[str, ...] = ()
        if detector == "auto":
            with self._lock:
                detector, notices = self._decide_auto()
        analysis = LiveAnalysis(bundle=bundle, detector=detector, settings=self._settings)
        return _View(analysis, (*analysis.notices, *notices))

    def _decide_auto(self) -> tuple[str, tuple[str, ...]]:
        now = time.monotonic()
        if self._auto is None or now - self._auto[0] > _DETECTOR_SECONDS:
            choice = choose_detector("auto")
            self._auto = (now, choice.detector.name, (choice.notice,) if choice.notice else ())
        return self._auto[1:]


class _View:
    """One live view, or one picture."""

    def __init__(self, analysis: LiveAnalysis, notices: tuple[str, ...]) -> None:
        self._analysis, self._notices = analysis, notices
        self._started_seconds = time.monotonic()
        self.told_seconds: float | None = None
        """When the next picture was taken, where the client has said so."""

    def answer(self, picture: bytes) -> dict[str, Any]:
        """Return what is to be seen in the next picture; with the first one, what to know."""
        image_rgb = decode_picture(picture)
        told, self.told_seconds = self.told_seconds, None
        taken_seconds = time.monotonic() - self._started_seconds if told is None else told
        result = self._analysis.look(image_rgb, timestamp_seconds=taken_seconds)
        height, width = image_rgb.shape[:2]
        answer = describe_result(result, width=width, height=height)
        return answer | ({"notices": list(self._notices)} if result.frame_index == 0 else {})


def refuse_unknown(options: Iterable[str], *known: str) -> None:
    """Refuse a misspelt option: it must not give another result than was asked for, in silence.

    Raises:
        UsageError: An option is not among the known ones.
    """
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"expected {', '.join(known)}; got {name!r}{hint}")


def _parse_time(text: str) -> float:
    try:
        told = json.loads(text)["timestamp"]
        # A word is no time, though float() reads some.
        return float(told) if type(told) in (int, float) else math.nan
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UsageError(f'expected {{"timestamp": seconds}}; got {text[:80]!r}') from error
