"""A bundle's model in onnxruntime: opening it, and checking it against the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emotrace.bundle_memory import RecurrentSpec, WindowSpec
from emotrace.errors import BundleError
from emotrace.runtime import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from emotrace.bundle_spec import BundleSpec

_STATE_TYPE: Final = "tensor(float)"


def open_session(model: Path, threads: int) -> Any:
    """Open a model file on `threads` CPU threads.

    Raises:
        BundleError: onnxruntime cannot load it.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: decoding and tracking need the cores meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many unrelated types
        reason = " ".join(str(error).split())[:200]
        raise BundleError(
            f"expected a model that onnxruntime can load in {model}; got: {reason}"
        ) from error


def check_session(session: Any, spec: BundleSpec, folder: Path) -> None:
    """Check that a model has the inputs and the outputs that its spec names.

    Raises:
        BundleError: One is missing or of another shape; the message says which.
    """
    nodes = (*session.get_inputs(), *session.get_outputs())
    # Of one track, without the batch.
    found = {node.name: tuple(node.shape[1:]) for node in nodes}

    def refuse(name: str, wanted: str) -> BundleError:
        have = ", ".join(f"{other!r} {theirs or (1,)}" for other, theirs in found.items())
        return BundleError(
            f"expected the model in {folder} to have {name!r} of shape {wanted} a picture; "
            f"it has {have}; the bundle is damaged: get it again"
        )

    pictures = _picture_shape(spec)
    if not _fits(found.get(spec.input_name), pictures):
        raise refuse(spec.input_name, str(tuple("any" if n is None else n for n in pictures)))
    for name, width, is_whole in _wanted_widths(spec):
        shape = found.get(name)
        if isinstance(spec.memory, RecurrentSpec) and shape is not None:
            # The first axis is that of the steps.
            shape = shape[1:] if _fits(shape[:1], (None,)) else None
        # A single value may have no axis of its own.
        shape = (1,) if shape == () else shape
        if shape is None or len(shape) != 1 or not isinstance(shape[0], int):
            raise refuse(name, f"({width},)")
        if shape[0] < width or (is_whole and shape[0] != width):
            raise refuse(name, f"({width},)" if is_whole else f"({width} or more,)")
    if isinstance(spec.memory, RecurrentSpec):
        _check_states(nodes, found, spec.memory, refuse)
    surplus = [node.name for node in session.get_inputs() if node.name not in _input_names(spec)]
    if surplus:
        raise BundleError(
            f"expected the model in {folder} to take {', '.join(_input_names(spec))}; it also "
            f"takes {', '.join(surplus)}: the spec must name every state"
        )


def _picture_shape(spec: BundleSpec) -> tuple[int | None, ...]:
    """Return the shape of the picture input without the batch; None is a free length."""
    picture = (spec.input_channels, spec.input_size_px, spec.input_size_px)
    if isinstance(spec.memory, WindowSpec):
        return (spec.memory.frames, *picture)
    if isinstance(spec.memory, RecurrentSpec):
        return (None, *picture)
    return picture


def _wanted_widths(spec: BundleSpec) -> list[tuple[str, int, bool]]:
    """Return outputs with the number of values they must have, and whether these must be all."""
    wanted = [
        (item.name, len(item.labels), True)
        if item.output is None
        else (item.output, item.start + len(item.labels), False)
        for item in spec.expression_outputs
    ]
    if spec.face_output:
        wanted.append((spec.face_output, 1, True))
    if spec.valence_arousal_output:
        start = spec.valence_arousal_start
        wanted.append((spec.valence_arousal_output, (start or 0) + 2, start is None))
    wanted += [(item.output, item.start + len(item.labels), False) for item in spec.other_outputs]
    return wanted


def _input_names(spec: BundleSpec) -> list[str]:
    states = spec.memory.states if isinstance(spec.memory, RecurrentSpec) else ()
    return [spec.input_name, *(state.name for state in states)]


def _check_states(
    nodes: Sequence[Any], found: dict[str, tuple[Any, ...]], memory: RecurrentSpec, refuse: Any
) -> None:
    types = {node.name: node.type for node in nodes}
    for state in memory.states:
        for name in (state.name, state.output):
            if not _fits(found.get(name), state.shape) or types[name] != _STATE_TYPE:
                raise refuse(name, str(state.shape))


def _fits(found: tuple[Any, ...] | None, wanted: tuple[int | None, ...]) -> bool:
    """Say whether a shape is the wanted one. A free length (not a number) fits any but a stated.

    >>> _fits(("time", 1, 48, 48), (None, 1, 48, 48)), _fits((2, 4), (None, 4)), _fits((4,), (5,))
    (True, False, False)
    """
    if found is None or len(found) != len(wanted):
        return False
    return all(
        size == want if want is not None else size == 1 or not isinstance(size, int)
        for size, want in zip(found, wanted, strict=True)
    )
