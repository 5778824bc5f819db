"""What a temporal bundle remembers of a face: its last crops, or a state that is carried along."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Temporal = Literal["none", "window", "recurrent"]
TEMPORAL_KINDS: Final[tuple[Temporal, ...]] = ("none", "window", "recurrent")


@dataclass(frozen=True, kw_only=True)
class WindowSpec:
    """The model takes the last `frames` crops of a track at once, the newest last.

    While the track is younger than the window, its first crop stands for the time before it: every
    frame is predicted from the first one on.
    """

    frames: int
    frame_seconds: float | None
    """Time from one crop of the window to the next, as in training: the crop nearest to each time
    is taken. None: counted in frames, whatever the video's frame rate."""
    frame_step: int = 1
    """Where `frame_seconds` is None: frames from one crop of the window to the next."""


@dataclass(frozen=True, kw_only=True)
class StateSpec:
    """One tensor that a recurrent model takes and gives back; zeros at the beginning of a track."""

    name: str
    """The model's input."""
    output: str
    """The model's output that is the next frame's input."""
    shape: tuple[int, ...]
    """Of one track: the model's tensors have the batch before it. float32."""


@dataclass(frozen=True, kw_only=True)
class RecurrentSpec:
    """The model takes one crop and what it remembers of the track, and gives back what it now does.

    Its picture input is `(batch, 1, channels, size, size)` and its outputs are `(batch, 1, ...)`:
    a sequence of one step.
    """

    states: tuple[StateSpec, ...]
    frame_seconds: float | None
    """Time from one step to the next in training. Frames that come sooner are predicted from the
    memory as it is and leave no trace in it. None: every frame is a step, whatever the video's
    frame rate."""


MemorySpec = WindowSpec | RecurrentSpec


def read_memory(temporal: object, raw: object) -> MemorySpec | None:
    """Return what `memory` in `spec.json` says; None for a bundle that has none.

    Args:
        temporal: What `temporal` says there.
        raw: What `memory` says there; None where it is missing.

    Raises:
        KeyError: A field is missing.
        ValueError: A value cannot work.
    """
    if temporal not in TEMPORAL_KINDS:
        raise ValueError(f"temporal must be one of {', '.join(TEMPORAL_KINDS)}, not {temporal!r}")
    if temporal == "none":
        if raw is not None:
            raise ValueError("temporal 'none' must have no memory")
        return None
    if not isinstance(raw, dict):
        raise ValueError(f"temporal {temporal!r} needs memory, an object; got {raw!r}")  # noqa: TRY004 -- of the file, not the call
    frame_seconds = _read_seconds(raw["frame_seconds"])
    if temporal == "window":
        counts = {"frames": int(raw["frames"]), "frame_step": int(raw.get("frame_step", 1))}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"memory.{name} must be at least 1, not {count}")
        return WindowSpec(frame_seconds=frame_seconds, **counts)
    states = tuple(_read_state(item) for item in raw["states"])
    names = [name for state in states for name in (state.name, state.output)]
    if not states or len(set(names)) < len(names):
        raise ValueError(f"memory.states must be one or more, no name twice; got {names}")
    return RecurrentSpec(states=states, frame_seconds=frame_seconds)


def memory_to_json(memory: MemorySpec) -> dict[str, Any]:
    """Return what `spec.json` holds for `memory`: the inverse of `read_memory`."""
    if isinstance(memory, WindowSpec):
        return {
            "frames": memory.frames,
            "frame_seconds": memory.frame_seconds,
            "frame_step": memory.frame_step,
        }
    return {
        "frame_seconds": memory.frame_seconds,
        "states": [
            {"name": state.name, "output": state.output, "shape": list(state.shape)}
            for state in memory.states
        ],
    }


def temporal_kind(memory: MemorySpec | None) -> Temporal:
    """Return the word that `temporal` in `spec.json` has for a memory.

    >>> temporal_kind(WindowSpec(frames=10, frame_seconds=0.04))
    'window'
    """
    if memory is None:
        return "none"
    return "window" if isinstance(memory, WindowSpec) else "recurrent"


def describe_memory(memory: MemorySpec | None) -> str:
    """Say in words what a bundle knows of the past.

    >>> describe_memory(WindowSpec(frames=10, frame_seconds=0.04))
    'the last 10 crops of a face, 40 ms apart'
    >>> state = StateSpec(name="state_0", output="state_0_out", shape=(128,))
    >>> describe_memory(RecurrentSpec(states=(state,), frame_seconds=None))
    'a state of 128 values for each face, a step at every frame'
    """
    if memory is None:
        return "each frame by itself"
    if isinstance(memory, WindowSpec):
        if memory.frame_seconds is not None:
            apart = f", {1000 * memory.frame_seconds:.4g} ms apart"
        else:
            apart = "" if memory.frame_step == 1 else f", {memory.frame_step} frames apart"
        return f"the last {memory.frames} crops of a face{apart}"
    values = sum(math.prod(state.shape) for state in memory.states)
    often = (
        "at every frame"
        if memory.frame_seconds is None
        else f"every {1000 * memory.frame_seconds:.4g} ms"
    )
    return f"a state of {values:,} values for each face, a step {often}"


def _read_state(raw: Mapping[str, Any]) -> StateSpec:
    state = StateSpec(
        name=str(raw["name"]),
        output=str(raw["output"]),
        shape=tuple(int(size) for size in raw["shape"]),
    )
    if any(size < 0 for size in state.shape):
        raise ValueError(f"shape of state {state.name!r} must be of sizes from 0: {state.shape}")
    return state


def _read_seconds(value: Any) -> float | None:
    if value is None:
        return None
    seconds = float(value)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"memory.frame_seconds must be above 0 or null, not {value!r}")
    return seconds
