"""What processes that are started together may do wrong; imports nothing that takes time."""

from __future__ import annotations

import os
import time

from emotrace.errors import UsageError


def fail_in_one(kind: str) -> str:
    """Fail in the second process in one way or another; the first waits for it for ever."""
    if os.environ["RANK"] == "1":
        if kind == "error":
            raise UsageError("expected this; got that")
        if kind == "bug":
            raise KeyError("lost")
        if kind == "exit":
            os._exit(3)
    elif kind != "none":
        time.sleep(600)
    return f"{os.environ['RANK']} of {os.environ['WORLD_SIZE']}"
