"""Run the producing side of an iterator in a thread of its own, a bounded way ahead."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Item = TypeVar("Item")

_STOP_CHECK_SECONDS: Final = 0.1
"""How soon a producer that waits for room notices that nobody wants its items any more."""


class _End:
    """The last thing in the queue: why the producer stopped."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def run_ahead(source: Iterable[Item], *, ahead: int) -> Iterator[Iterator[Item]]:
    """Iterate over `source` in a thread, at most `ahead` items before the consumer.

    Order and items are those of `source`; an exception in it is raised where the consumer would
    have met the next item. Leaving the `with` block stops the thread and waits for it, so that
    whatever
    `source` holds open can be closed safely afterwards.

    Args:
        source: Consumed by the thread alone.
        ahead: How many items may wait; memory is bounded by it.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(maxsize=ahead)
    is_abandoned = threading.Event()

    def put(item: Item | _End) -> bool:
        while not is_abandoned.is_set():
            try:
                waiting.put(item, timeout=_STOP_CHECK_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        error: BaseException | None = None
        try:
            for item in source:
                if not put(item):
                    return
        except BaseException as caught:  # noqa: BLE001 -- handed to the consumer, which raises it
            error = caught
        put(_End(error))

    def consume() -> Iterator[Item]:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    thread = threading.Thread(target=produce, name="emotrace-stage", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        is_abandoned.set()
        thread.join()
