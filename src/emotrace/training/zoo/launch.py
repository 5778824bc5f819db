"""Starting one process for each device, and bringing back what came of them.

Every process builds its own network, data and trainer from the recipe; nothing but the recipe is
sent. Lightning's own launchers would run the command again, or send the data along.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from typing import TYPE_CHECKING, Any, Final

from emotrace import errors
from emotrace.errors import EmotraceError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess

_POLL_SECONDS: Final = 0.5
_FAREWELL_SECONDS: Final = 10.0


def other_process() -> tuple[int, int] | None:
    """Return this process's rank and their number, where it was started as one of several.

    `torchrun` sets the same variables.
    """
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
    if any(name not in os.environ for name in names):
        return None
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def launch_processes(
    function: Callable[..., Any], arguments: tuple[Any, ...], *, count: int
) -> Any:
    """Call a function in `count` processes that find one another, and return what the first does.

    Args:
        function: Of a module, so that it can be sent.
        arguments: Likewise.
        count: How many.

    Raises:
        EmotraceError: Whatever of the kind one of them raised; the others are ended.
        TrainingError: One ended in another way.
    """
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    port = _free_port()
    processes = [
        context.Process(
            target=_work, args=(function, arguments, rank, count, port, answers), daemon=False
        )
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    try:
        return _await_answer(processes, answers)
    finally:
        for process in processes:
            process.join(_FAREWELL_SECONDS)
            if process.is_alive():
                process.terminate()
                process.join()


def _await_answer(processes: Sequence[BaseProcess], answers: Any) -> Any:
    import queue

    left = len(processes)
    result: Any = None
    while left:
        try:
            rank, is_done, value = answers.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            dead = [process for process in processes if process.exitcode not in (None, 0)]
            if dead:
                _end(processes)
                raise TrainingError(
                    f"expected {len(processes)} processes to train together; one ended with exit "
                    f"code {dead[0].exitcode} (out of memory, or ended from outside); --resume "
                    "goes on from the last checkpoint"
                ) from None
            continue
        if not is_done:
            # The others wait for the one that failed, for ever.
            _end(processes)
            kind, message, said = value
            found = getattr(errors, kind, None)
            if isinstance(found, type) and issubclass(found, EmotraceError):
                raise found(message)
            raise TrainingError(
                f"expected processes that train together to end well; one failed with {kind}: "
                f"{message}; {said}"
            )
        left -= 1
        if rank == 0:
            result = value
    return result


def _end(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()


def _work(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    rank: int,
    count: int,
    port: int,
    answers: Any,
) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        NODE_RANK="0",
        WORLD_SIZE=str(count),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    try:
        answers.put((rank, True, function(*arguments)))
    except BaseException as error:  # noqa: BLE001 -- the process that waits must hear of anything
        said = traceback.format_exc().strip().splitlines()[-3].strip()
        answers.put((rank, False, (type(error).__name__, str(error), said)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
