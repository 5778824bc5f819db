"""Every error that emotrace raises on purpose.

```
EmotraceError                 anything expected to go wrong; the command line prints it as one line
├── UsageError                the call itself is wrong: a bad option or value (exit code 2)
├── InputError                a file or folder that the user named cannot be used
│   └── VideoError            it exists but does not decode to pictures
├── OutputError               a result cannot be written
├── DetectorError             a face detector cannot be made or run
├── DownloadError             a file could not be fetched, or arrived damaged
├── BundleError               a bundle is missing, damaged or not of the expected form
├── DatasetError              a data set is missing, damaged or not of the expected form
└── TrainingError             training cannot start or go on
```

A message says what was expected, what was got (value, path, time) and what to do, in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class EmotraceError(Exception):
    """Anything that emotrace expects to go wrong; its message is meant for the user."""


class UsageError(EmotraceError, ValueError):
    """The call is wrong: an option or argument has a value that cannot work."""


class InputError(EmotraceError):
    """A file or folder that the user named cannot be used."""


class VideoError(InputError):
    """A media file exists but does not decode to pictures."""


class OutputError(EmotraceError):
    """A result cannot be written."""


class DetectorError(EmotraceError):
    """A face detector cannot be made or run."""


class DownloadError(EmotraceError):
    """A file could not be fetched, or what arrived is not what was expected."""


class BundleError(EmotraceError):
    """A bundle is missing, damaged or not of the expected form."""


class DatasetError(EmotraceError):
    """A data set is missing, damaged or not of the expected form."""


class TrainingError(EmotraceError):
    """Training cannot start or cannot go on."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about a word that is not among the known ones.

    >>> did_you_mean("detctor", ["prior", "detector"])
    "; did you mean 'detector'?"
    >>> did_you_mean("x", ["prior", "detector"])
    ''
    """
    import difflib  # for mistakes only

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def require_least(least: int, **values: int) -> None:
    """Check numbers.

    Args:
        least: The least that each may be.
        values: By the names that the message is to give them.

    Raises:
        UsageError: One is smaller; the message names it.
    """
    for name, value in values.items():
        if value < least:
            raise UsageError(f"expected {name} of at least {least}; got {value}")
