"""onnxruntime, imported the one way that keeps to itself.

From 1.31 its wheels report usage (a device id, the processor, the interpreter's path) to their
maker and leave files in the user's home. Nobody who analyses recordings of people expects that. It
is turned off before the import; afterwards is too late.
"""

from __future__ import annotations

import os
from typing import Any, Final

TELEMETRY_VARIABLE: Final = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> Any:
    """Import onnxruntime with its reporting turned off, and return the module.

    Whoever wants it on sets `ORT_DISABLE_TELEMETRY=0` beforehand.
    """
    os.environ.setdefault(TELEMETRY_VARIABLE, "1")
    import onnxruntime

    return onnxruntime
