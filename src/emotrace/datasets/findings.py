"""What is wrong with a data set: the first problem raised, or all of them collected."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from emotrace.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Findings:
    """Where a reader says what it found wrong.

    By default the first problem is raised, so that nobody trains on a damaged set unknowingly. With
    `keep_going`, problems are collected and the clips that they concern left out: `datasets check`
    lists them all.

    Attributes:
        problems: What was wrong, one line each.
        notes: What is odd but not wrong, one line each.
    """

    def __init__(self, *, keep_going: bool = False) -> None:
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._keep_going = keep_going

    @contextlib.contextmanager
    def per_clip(self) -> Iterator[None]:
        """Guard the reading of one clip: its problem is raised, or noted and passed over.

        Raises:
            DatasetError: As the guarded code says, unless the problems are collected.
        """
        try:
            yield
        except DatasetError as error:
            if not self._keep_going:
                raise
            self.problems.append(str(error))

    def add(self, message: str) -> None:
        """Raise a problem, or note it where problems are collected.

        Raises:
            DatasetError: Problems are not collected.
        """
        with self.per_clip():
            raise DatasetError(message)

    def note(self, message: str) -> None:
        """Note what is odd but not wrong."""
        self.notes.append(message)
