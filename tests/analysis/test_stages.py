from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from emotrace.analysis.stages import run_ahead


def test_items_and_order_are_kept() -> None:
    with run_ahead(iter(range(1000)), ahead=3) as items:
        assert list(items) == list(range(1000))


def test_the_source_runs_only_so_far_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with run_ahead(source(), ahead=4) as items:
        next(items)
        time.sleep(0.2)
        # One taken, four waiting, one in the producer's hand.
        assert len(made) <= 6


def test_an_error_comes_where_the_next_item_would() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with run_ahead(source(), ahead=2) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="broken"):
            next(items)


def test_leaving_early_stops_the_thread() -> None:
    def source() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    before = threading.active_count()
    with run_ahead(source(), ahead=2) as items:
        assert next(items) == 0
    assert threading.active_count() == before
