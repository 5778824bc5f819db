"""Pictures that come over the network: one alone, or a live view's, one after another."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from emotrace.analysis.live import LiveAnalysis
from emotrace.analysis.settings import AnalysisSettings
from emotrace.bundle import Bundle, load_bundle
from emotrace.errors import EmotraceError, InputError, UsageError
from emotrace.web.answers import describe_result

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from starlette.websockets import WebSocket

MOST_PICTURE_BYTES: Final = 20 * 2**20
MOST_SIDE_PX: Final = 4096
_TRY_AGAIN_LATER: Final = 1013
_MAX_REASON_BYTES: Final = 120
"""The protocol allows 123."""


class LiveDesk:
    """Answers pictures with the faces in them. May be used from several threads.

    Args:
        bundle: The name or folder of the bundle to predict with; loaded when first needed.
        threads: CPU threads; 0 takes all that this process may use.
        most_views: Live views at the same time; each one more slows the others down.
    """

    def __init__(self, bundle: str | Path, *, threads: int, most_views: int) -> None:
        self._bundle_name = bundle
        self._settings = AnalysisSettings(threads=threads)
        self._bundles: dict[str, Bundle] = {}
        """By prior, which belongs to a loaded bundle."""
        self._lock = threading.Lock()
        self.most_views = most_views
        self._views = 0

    def look_at(self, picture: bytes, *, prior: str, detector: str) -> dict[str, Any]:
        """Return what is to be seen in one encoded picture.

        Raises:
            InputError: It is no picture, or too large.
            BundleError, DetectorError, UsageError: There is no such prior or detector.
        """
        return _View(self._new_analysis(prior, detector)).answer(picture)

    async def serve(self, socket: WebSocket, *, prior: str, detector: str) -> None:
        """Answer a live view's pictures until it goes away."""
        await socket.accept()
        if self._views >= self.most_views:
            reason = f"expected at most {self.most_views} live views; close another one first"
            await socket.close(_TRY_AGAIN_LATER, reason[:_MAX_REASON_BYTES])
            return
        self._views += 1
        try:
            view = _View(await run_in_threadpool(self._new_analysis, prior, detector))
            while (answer := await view.next_answer(socket)) is not None:
                await socket.send_text(json.dumps(answer))
        except WebSocketDisconnect:
            return
        except EmotraceError as error:
            await socket.send_text(json.dumps({"error": str(error)}))
            await socket.close(1011)
        finally:
            self._views -= 1

    def _new_analysis(self, prior: str, detector: str) -> LiveAnalysis:
        with self._lock:
            if prior not in self._bundles:
                self._bundles[prior] = load_bundle(
                    self._bundle_name, prior=prior, threads=self._settings.thread_count
                )
            bundle = self._bundles[prior]
        return LiveAnalysis(bundle=bundle, detector=detector, settings=self._settings)


class _View:
    """One live view."""

    def __init__(self, analysis: LiveAnalysis) -> None:
        self._analysis = analysis
        self._started = time.monotonic()
        self._told_seconds: float | None = None

    async def next_answer(self, socket: WebSocket) -> dict[str, Any] | None:
        """Wait for a picture and return the answer to it; None where the view has gone."""
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            try:
                if message.get("text") is not None:
                    self._told_seconds = _parse_time(message["text"])
                    continue
                return await run_in_threadpool(self.answer, message.get("bytes") or b"")
            except (InputError, UsageError) as error:
                return {"error": str(error)}

    def answer(self, picture: bytes) -> dict[str, Any]:
        """Return what is to be seen in the next picture; with the first one, what to know."""
        image_rgb = decode_picture(picture)
        told, self._told_seconds = self._told_seconds, None
        taken = time.monotonic() - self._started if told is None else told
        result = self._analysis.look(image_rgb, timestamp_seconds=taken)
        height, width = image_rgb.shape[:2]
        answer = describe_result(result, width=width, height=height)
        notices = {"notices": list(self._analysis.notices)} if result.frame_index == 0 else {}
        return answer | notices


def decode_picture(picture: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG or WebP, turned upright.

    Returns:
        `(height, width, 3)`, uint8, RGB.

    Raises:
        InputError: It is none of these, or too large.
    """
    if not picture or len(picture) > MOST_PICTURE_BYTES:
        raise InputError(
            f"expected a picture of 1 to {MOST_PICTURE_BYTES} bytes; got {len(picture)} bytes"
        )
    try:
        image_bgr = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image_bgr = None
    if image_bgr is None:
        raise InputError("expected a picture (JPEG, PNG, WebP); got bytes that do not decode")
    height, width = image_bgr.shape[:2]
    if max(height, width) > MOST_SIDE_PX:
        raise InputError(
            f"expected a picture of at most {MOST_SIDE_PX} px a side; got {width} x {height}"
        )
    return np.ascontiguousarray(image_bgr[..., ::-1], dtype=np.uint8)


def _parse_time(text: str) -> float:
    try:
        return float(json.loads(text)["timestamp"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f'expected {{"timestamp": seconds}}; got {text[:80]!r}') from error
