"""What decides the outcome of an analysis, and what only decides its speed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from emotrace.analysis.baseline import BaselineSettings  # noqa: TC001 -- tyro reads it too
from emotrace.analysis.post_processing import AffectPostProcessing  # noqa: TC001 -- likewise
from emotrace.analysis.segments import SegmentSettings
from emotrace.errors import require_least
from emotrace.faces import DetectorName  # noqa: TC001 -- tyro reads the annotation at run time


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    """How a video is analysed.

    Raises:
        UsageError: A value that cannot work.
    """

    detector: DetectorName = "auto"
    """Face detector; `auto` is YuNet where its file can be had, else Haar with a notice."""
    detect_every: int = 1
    """Frames from one run of the detector to the next; optical flow carries faces between. Every
    frame is predicted all the same. The first frame of a shot is always searched."""
    search_every: int = 5
    """Frames from one search of the whole picture to the next; between them the detector looks only
    around the faces it knows, which takes a fraction of the time (YuNet, up to four faces). While
    a face is known, another one that appears is found up to this many frames less one late; 1
    searches every whole picture."""
    keep_rejected: bool = False
    """Keep the faces that the model says are none; see `emotrace.analysis.rejection`."""
    segmentation: SegmentSettings = field(default_factory=SegmentSettings)
    """Smoothing and segments; the raw columns of the table are never smoothed."""
    baseline: BaselineSettings | None = None
    """Takes each face's own resting expression out, into columns of its own, before smoothing and
    segments; None leaves it in. The raw columns stay as they are."""
    post_processing: AffectPostProcessing | None = None
    """Done to valence and arousal, into columns of its own; None does nothing."""
    batch_size: int = 16
    """Faces handed to the model at once; changes speed and memory, never the result."""
    threads: int = 0
    """CPU threads; 0 takes all this process may use. Changes speed, never the result of a whole
    file (how a damaged one is mended may differ, see `emotrace.video.VideoReader`)."""

    def __post_init__(self) -> None:
        require_least(
            1,
            detect_every=self.detect_every,
            search_every=self.search_every,
            batch_size=self.batch_size,
        )
        require_least(0, threads=self.threads)

    @property
    def thread_count(self) -> int:
        """`threads`, or the number of processors this process may use."""
        if self.threads:
            return self.threads
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def threads_for_each(self, of: int) -> int:
        """Return what each of several analyses at the same time gets of `thread_count`."""
        return max(1, self.thread_count // of)
