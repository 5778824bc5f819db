"""What to install, in one line, where a verb needs packages that plain emotrace does not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emotrace.errors import EmotraceError


@contextlib.contextmanager
def extra_packages(
    purpose: str, packages: frozenset[str], *, install: str, error_kind: type[EmotraceError]
) -> Iterator[None]:
    """Say in one line what to install where an import within finds none of an extra's packages.

    Args:
        purpose: What the packages are for, as a noun.
        packages: What the extra of pyproject.toml brings, by import name.
        install: The command.
        error_kind: Of what is raised.

    Raises:
        EmotraceError: One of `packages` is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in packages:
            raise
        raise error_kind(
            f"expected the packages for {purpose}; {missing} is not installed; "
            f"run in the checkout of emotrace: {install}"
        ) from error
