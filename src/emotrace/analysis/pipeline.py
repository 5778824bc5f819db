"""The streaming pipeline: decode, find and follow faces, crop, predict.

Decoding runs in one thread, finding and following faces in a second, the model in the caller's,
with bounded queues between them: memory does not grow with the length of the video, and a slow
consumer slows everything down. The result does not depend on the number of threads nor on the batch
size: every stage sees the frames one by one and in order, and the model computes each face by
itself (see `emotrace.models.compact`); a temporal one is called frame by frame (see
`emotrace.analysis.temporal`).
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from emotrace.analysis.baseline import add_adjusted_columns, estimate_baselines, note_baselines
from emotrace.analysis.post_processing.timeline import apply_to_timeline, note_post_processing
from emotrace.analysis.progress import Progress, ProgressHook, ProgressMeter
from emotrace.analysis.segments import add_smoothed_columns
from emotrace.analysis.settings import AnalysisSettings
from emotrace.analysis.stages import run_ahead
from emotrace.analysis.summary import summarize
from emotrace.analysis.tables import Timeline
from emotrace.analysis.temporal import rate_notice
from emotrace.analysis.tracer import FrameTracer
from emotrace.bundle import DEFAULT_BUNDLE
from emotrace.errors import UsageError
from emotrace.timeline import (
    Frame,
    FrameResult,
    InputFacts,
    results_to_table,
)
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from emotrace.analysis.predictor import TrackedFrame
    from emotrace.bundle import Bundle, PriorChoice
    from emotrace.faces import Detector

__all__ = [
    "Progress",
    "ProgressHook",
    "VideoAnalysis",
    "analyze_video",
    "finish_timeline",
    "stream_video",
]

_DECODED_AHEAD: Final = 3
_TRACKED_AHEAD: Final = 4
_HELD_FRAMES: Final = 32
"""Frames without faces must not wait for a batch to fill for ever: live views would stall."""
_HELD_BYTES: Final = 64 * 2**20
"""Pictures kept for a consumer that draws on them are the largest thing in memory (4K: 25 MB)."""
_TABLE_CHUNK_FRAMES: Final = 2048


class VideoAnalysis:
    """One video being analysed: iterate over it once, then ask for its facts.

    `stream_video` and `analyze_video` are the simple ways to use it.

    Args:
        path: A video, GIF or still image.
        detector: A detector's name or a detector; `settings.detector` where not given.
        bundle: A bundle, or the name or folder of one.
        prior: See `emotrace.bundle.load_bundle`; for a bundle that is loaded already, its own
            holds.
        settings: See `AnalysisSettings`.
        progress: Called before the first frame, at most ten times a second, and at the end.

    Raises:
        InputError: The file cannot be read.
        BundleError, DetectorError, DownloadError, UsageError: As `load_bundle` and
            `choose_detector` say.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        detector: str | Detector | None = None,
        bundle: str | Path | Bundle = DEFAULT_BUNDLE,
        prior: PriorChoice = "default",
        settings: AnalysisSettings | None = None,
        progress: ProgressHook | None = None,
    ) -> None:
        self.path = Path(path)
        self.settings = settings or AnalysisSettings()
        self._progress = progress
        self._threads = self.settings.thread_count
        self._reader = VideoReader(self.path, decode_threads=self._threads)
        try:
            self._tracer = FrameTracer(
                detector=detector, bundle=bundle, prior=prior, settings=self.settings
            )
        except BaseException:
            self._reader.close()
            raise
        self.bundle, self.detector = self._tracer.bundle, self._tracer.detector
        self.notices = self._tracer.notices
        self.cut_timestamps_seconds: list[float] = []

    def facts(self) -> InputFacts:
        """Return what the input is; complete once the analysis has been iterated over."""
        return self._reader.facts()

    def summarize(self, table: pa.Table) -> dict[str, Any]:
        """Summarize the finished analysis; see `emotrace.analysis.summary.summarize`."""
        facts = self.facts()
        slow = rate_notice(self.bundle.spec, facts)
        return summarize(
            table,
            facts,
            settings={
                **asdict(self.settings),
                "prior": self.bundle.prior_name,
                "threads": self._threads,
            },
            bundle=self._tracer.describe_bundle(),
            detector=self.detector.name,
            notices=(slow,) if slow else (),
            run_notices=self.notices,
            cut_timestamps_seconds=self.cut_timestamps_seconds,
            rejected=self._tracer.rejection.describe(),
        )

    def results(self) -> Generator[FrameResult, None, None]:
        """Yield each frame's result, in order, while the video is being read."""
        with closing(self._run(keep_frames=False)) as run:
            for _, result in run:
                yield result

    def frames_and_results(self) -> Generator[tuple[Frame, FrameResult], None, None]:
        """Yield each frame with its result: for whoever draws on the pictures."""
        with closing(self._run(keep_frames=True)) as run:
            for frame, result in run:
                if frame is not None:
                    yield frame, result

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _run(self, *, keep_frames: bool) -> Generator[tuple[Frame | None, FrameResult], None, None]:
        meter = ProgressMeter(self._progress, self._reader)
        with ExitStack() as stack:
            stack.callback(self._reader.close)
            # Each stage is a generator; where there are cores for it, it runs in its own thread.
            frames: Iterable[Frame] = self._reader
            if self._threads > 1:
                frames = stack.enter_context(run_ahead(frames, ahead=_DECODED_AHEAD))
            tracked: Iterable[TrackedFrame] = (
                self._tracer.track(frame, keep_frame=keep_frames) for frame in frames
            )
            if self._threads > 1:
                tracked = stack.enter_context(run_ahead(tracked, ahead=_TRACKED_AHEAD))
            for batch in _batches(tracked, self.settings.batch_size):
                for item, result in zip(batch, self._tracer.predict(batch), strict=True):
                    if item.is_cut:
                        self.cut_timestamps_seconds.append(item.timestamp_seconds)
                    yield item.frame, result
                    meter.count()
        meter.finish()


def stream_video(
    path: str | Path,
    *,
    detector: str | Detector | None = None,
    bundle: str | Path | Bundle = DEFAULT_BUNDLE,
    prior: PriorChoice = "default",
    settings: AnalysisSettings | None = None,
    progress: ProgressHook | None = None,
) -> Iterator[FrameResult]:
    """Analyse a video and yield each frame's result while it runs, in order.

    Arguments are checked at the call, before the first frame is asked for::

        for result in stream_video("clip.mp4"):
            for item in result.faces:
                print(result.timestamp_seconds, item.face.face_id, item.prediction.emotion)

    Args:
        path: A video, GIF or still image.
        detector: A detector's name (`auto`, `yunet`, `haar`, `lbp`) or your own detector; that of
            `settings` where not given.
        bundle: The model: the name or folder of a bundle, or one that is loaded already.
        prior: How common each expression is taken to be: `default`, `training`, `uniform`, or a
            share for each; see `load_bundle`. A bundle that is loaded already keeps its own.
        settings: How often to detect, what to smooth, threads; see `AnalysisSettings`.
        progress: Called with a `Progress` before the first frame, then at most ten times a second,
            and at the end.

    Yields:
        One result a frame, those without a face too.

    Raises:
        InputError: The file cannot be read or holds no picture.
        BundleError, DetectorError, DownloadError, UsageError: As `load_bundle` and
            `choose_detector` say.
    """
    return VideoAnalysis(
        path, detector=detector, bundle=bundle, prior=prior, settings=settings, progress=progress
    ).results()


def analyze_video(
    path: str | Path,
    *,
    detector: str | Detector | None = None,
    bundle: str | Path | Bundle = DEFAULT_BUNDLE,
    prior: PriorChoice = "default",
    settings: AnalysisSettings | None = None,
    progress: ProgressHook | None = None,
) -> Timeline:
    """Analyse a video and return its timeline.

    A timeline is written to a folder with `Timeline.save`::

        timeline = analyze_video("clip.mp4", detector="yunet")
        print(timeline.to_pandas())
        timeline.save("out")

    Args:
        path: A video, GIF or still image.
        detector: A detector's name (`auto`, `yunet`, `haar`, `lbp`) or your own detector; that of
            `settings` where not given.
        bundle: The model: the name or folder of a bundle, or one that is loaded already.
        prior: How common each expression is taken to be: `default`, `training`, `uniform`, or a
            share for each; see `load_bundle`. A bundle that is loaded already keeps its own.
        settings: How often to detect, what to smooth, threads; see `AnalysisSettings`.
        progress: Called with a `Progress` before the first frame, then at most ten times a second,
            and at the end.

    Raises:
        InputError: The file cannot be read or holds no picture.
        BundleError, DetectorError, DownloadError, UsageError: As `load_bundle` and
            `choose_detector` say.
    """
    analysis = VideoAnalysis(
        path, detector=detector, bundle=bundle, prior=prior, settings=settings, progress=progress
    )
    chunks: list[pa.Table] = []
    waiting: list[FrameResult] = []
    with closing(analysis.results()) as results:
        for result in results:
            waiting.append(result)
            if len(waiting) == _TABLE_CHUNK_FRAMES:
                chunks.append(results_to_table(waiting))
                waiting.clear()
    chunks.append(results_to_table(waiting))
    return finish_timeline(analysis, pa.concat_tables(chunks))


def finish_timeline(analysis: VideoAnalysis, table: pa.Table) -> Timeline:
    """Make the timeline of a finished analysis from its raw table.

    Raises:
        UsageError: The table is not a timeline.
    """
    settings, cuts = analysis.settings, analysis.cut_timestamps_seconds
    baselines = {}
    if settings.baseline is not None:
        baselines = estimate_baselines(table, settings.baseline, cut_timestamps_seconds=cuts)
        table = add_adjusted_columns(table, baselines)
    smoothing = settings.segmentation.smoothing
    if smoothing is not None:
        table = add_smoothed_columns(table, smoothing, cut_timestamps_seconds=cuts)
    processing = settings.post_processing
    if processing is not None:
        table = apply_to_timeline(table, processing, cut_timestamps_seconds=cuts)
    summary = analysis.summarize(table)
    if settings.baseline is not None:
        note_baselines(summary, table, baselines)
    if processing is not None:
        note_post_processing(summary, table, processing)
    return Timeline(
        table=table,
        facts=analysis.facts(),
        summary=summary,
        segmentation=settings.segmentation,
    )


def _batches(tracked: Iterable[TrackedFrame], batch_size: int) -> Iterator[list[TrackedFrame]]:
    """Group frames until they hold `batch_size` faces, or enough frames or pictures wait."""
    if batch_size < 1:
        raise UsageError(f"expected batch_size of at least 1; got {batch_size}")
    held: list[TrackedFrame] = []
    faces = size_bytes = 0
    for item in tracked:
        held.append(item)
        faces += len(item.faces)
        size_bytes += 0 if item.frame is None else item.frame.image_rgb.nbytes
        if faces >= batch_size or len(held) >= _HELD_FRAMES or size_bytes >= _HELD_BYTES:
            yield held
            held, faces, size_bytes = [], 0, 0
    if held:
        yield held
