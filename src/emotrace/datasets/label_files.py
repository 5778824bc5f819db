"""Reading label files so that a wrong character never passes: every error names file and line."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_SHOWN_CHARACTERS: Final = 60


def label_error(
    path: Path,
    line: int | None,
    *,
    expected: str,
    got: str | None = None,
    found: str = "nothing",
    remedy: str = "restore the file from the data set's archive",
) -> DatasetError:
    """Return the error for a place in a label file.

    Args:
        path: The file.
        line: 1-based line, or None for the file as a whole.
        expected: What should stand there.
        got: The text that does; it is quoted.
        found: What is wrong in words, where no text can be quoted.
        remedy: What to do.
    """
    shown = found
    if got is not None:
        is_long = len(got) > _SHOWN_CHARACTERS
        shown = f"{got[:_SHOWN_CHARACTERS]!r}..." if is_long else repr(got)
    place = f"{path}, line {line}" if line is not None else str(path)
    return DatasetError(f"{place}: expected {expected}; got {shown}; {remedy}")


def read_lines(path: Path) -> list[str]:
    """Return a text file's lines without their ends; blank lines at the end are left out.

    Raises:
        DatasetError: It cannot be read, or is no text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise label_error(
            path, line, expected="text in UTF-8", found=f"byte 0x{error.object[error.start]:02x}"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"expected to read {path}; got: {error.strerror or error}; "
            "restore the file from the data set's archive"
        ) from error
    # Not splitlines(): that also breaks at characters that no data set uses as a line end.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def parse_decimal(
    text: str,
    path: Path,
    line: int,
    *,
    what: str,
    low: float,
    high: float,
    missing: float | None = None,
) -> float:
    """Parse a decimal number in [`low`, `high`]; the code `missing` becomes NaN.

    Raises:
        DatasetError: It is no number or outside; the message names file, line and value.
    """
    # float() takes more than a label file may hold: underscores, "inf", spaces inside.
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if missing is not None and value == missing:
        return math.nan
    if not low <= value <= high:
        code = f", or {missing:g} for none" if missing is not None else ""
        raise label_error(
            path, line, expected=f"{what}, a number from {low:g} to {high:g}{code}", got=text
        )
    return value


def parse_table(
    lines: Sequence[str],
    path: Path,
    first_line: int,
    *,
    names: Sequence[str],
    separator: str,
    low: float,
    high: float,
    missing: float | None = None,
) -> NDArray[np.float64]:
    """Parse lines of numbers in [`low`, `high`]; the code `missing` becomes NaN.

    Args:
        lines: One for each row.
        path: The file that they are from.
        first_line: The 1-based line in it of the first row.
        names: What the columns hold.
        separator: What stands between two numbers.
        low: The least value.
        high: The greatest value.
        missing: The code for no label, if there is one.

    Returns:
        `(rows, columns)`.

    Raises:
        DatasetError: A line is damaged; the message names file, line and value.
    """
    row = re.compile(re.escape(separator).join([_DECIMAL.pattern] * len(names)))
    # Sets have millions of lines: all at once (three times as fast) where all are well; one by one
    # only to find the damaged line.
    if all(map(row.fullmatch, lines)):
        words = separator.join(lines).split(separator) if lines else []
        table = np.array(words, np.float64).reshape(-1, len(names))
        if missing is not None:
            table[table == missing] = np.nan
        if not ((table < low) | (table > high)).any():
            return table
    for number, line in enumerate(lines, start=first_line):
        cells = line.split(separator)
        if len(cells) != len(names):
            expected = f"{len(names)} numbers, {', '.join(names)}"
            raise label_error(path, number, expected=expected, got=line)
        for name, cell in zip(names, cells, strict=True):
            parse_decimal(cell, path, number, what=name, low=low, high=high, missing=missing)
    raise label_error(path, None, expected="numbers", found="something else")


def parse_code(text: str, path: Path, line: int, *, what: str, codes: Collection[int]) -> int:
    """Parse a whole number that is one of `codes`.

    Raises:
        DatasetError: It is not; the message names file, line and value.
    """
    value = int(text) if _INTEGER.fullmatch(text) and len(text) < 10 else None
    if value is None or value not in codes:
        listed = ", ".join(str(code) for code in sorted(codes))
        raise label_error(path, line, expected=f"{what}, one of {listed}", got=text)
    return value


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files that match, by name, without hidden ones; none for a missing folder.

    Archives that went through a Mac hold a hidden `._name` beside each file.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def require_folder(root: Path, *, title: str, looked_for: Iterable[str]) -> None:
    """Check that `root` is a folder.

    Raises:
        DatasetError: It is not; the message says what was looked for in it.
    """
    if not root.is_dir():
        got = "a file" if root.exists() else "nothing"
        raise DatasetError(
            f"expected the folder of {title} at {root} (with {', '.join(looked_for)}); got {got}; "
            "give the folder that the archive was unpacked into"
        )


def wrong_folder(
    root: Path,
    *,
    title: str,
    looked_for: Iterable[str],
    remedy: str = "give the folder that the archive was unpacked into",
) -> DatasetError:
    """Return the error for a folder that is not this data set."""
    found = sorted(path.name + ("/" if path.is_dir() else "") for path in root.iterdir())
    shown = ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
    return DatasetError(
        f"expected {title} in {root}: looked for {', '.join(looked_for)}; "
        f"found {shown or 'an empty folder'}; {remedy}"
    )
