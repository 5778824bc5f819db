"""Trace emotion through video: follow the faces, predict each one's expression over time.

The public names below are imported when first used, so that `import emotrace` costs nothing:

```python
import emotrace

timeline = emotrace.analyze_video("clip.mp4")
print(timeline.to_pandas())
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emotrace.version import __version__ as __version__

__all__ = [
    "EMOTIONS",
    "AnalysisSettings",
    "Bundle",
    "Detection",
    "EmotraceError",
    "FaceResult",
    "Frame",
    "FrameResult",
    "LiveAnalysis",
    "OutputChoice",
    "Prediction",
    "Progress",
    "Segment",
    "Timeline",
    "TrackedFace",
    "analyze_inputs",
    "analyze_video",
    "load_bundle",
    "stream_video",
]

if TYPE_CHECKING:
    from emotrace.analysis.batch import analyze_inputs
    from emotrace.analysis.live import LiveAnalysis
    from emotrace.analysis.one_input import OutputChoice
    from emotrace.analysis.pipeline import Progress, analyze_video, stream_video
    from emotrace.analysis.settings import AnalysisSettings
    from emotrace.analysis.tables import Timeline
    from emotrace.bundle import Bundle, load_bundle
    from emotrace.errors import EmotraceError
    from emotrace.labels import EMOTIONS
    from emotrace.timeline import (
        Detection,
        FaceResult,
        Frame,
        FrameResult,
        Prediction,
        Segment,
        TrackedFace,
    )


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'emotrace' has no attribute {name!r}")
    from importlib import import_module

    homes = {
        "emotrace.analysis.batch": ("analyze_inputs",),
        "emotrace.analysis.live": ("LiveAnalysis",),
        "emotrace.analysis.one_input": ("OutputChoice",),
        "emotrace.analysis.pipeline": ("Progress", "analyze_video", "stream_video"),
        "emotrace.analysis.settings": ("AnalysisSettings",),
        "emotrace.analysis.tables": ("Timeline",),
        "emotrace.bundle": ("Bundle", "load_bundle"),
        "emotrace.errors": ("EmotraceError",),
        "emotrace.labels": ("EMOTIONS",),
    }
    home = next((home for home, names in homes.items() if name in names), "emotrace.timeline")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
