"""Refusing options that no network can be built from, before anything is built."""

from __future__ import annotations

from typing import Any

from emotrace.errors import UsageError


def expect_positive(options: Any, *names: str) -> None:
    """Refuse fields, whole numbers or tuples of them, that hold a value below 1.

    Raises:
        UsageError: Naming the field.
    """
    for name in names:
        value = getattr(options, name)
        values = value if isinstance(value, tuple) else (value,)
        if not values or min(values) < 1:
            raise UsageError(f"expected {name} of 1 or more; got {value}")


def expect_probability(options: Any, *names: str) -> None:
    """Refuse fields that are no probability, or 1, at which nothing would be kept.

    Raises:
        UsageError: Naming the field.
    """
    for name in names:
        value = getattr(options, name)
        if not 0 <= value < 1:
            raise UsageError(f"expected {name} in [0, 1); got {value}")
