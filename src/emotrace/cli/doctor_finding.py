"""What the doctor's checks report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    group: str
    name: str
    status: Status
    """`missing` is something that emotrace can do without; `problem` is something broken."""
    detail: str
    fix: str | None = None
    """The command or action that mends it."""
    blocks_analyze: bool = False
    """True where `emotrace analyze` cannot work until it is mended."""


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
