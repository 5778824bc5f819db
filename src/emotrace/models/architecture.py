"""What every architecture of the zoo is to the rest of the house.

One convention for all networks, so that losses, training, evaluation, export and streaming need to
know none of them:

- A network maps one tensor to **one tensor of outputs**, whose last axis holds the values of all
  its heads side by side (`split_outputs` takes them apart). Outputs are raw: logits of categorical
  and multi-label heads, plain values of continuous ones.
- What it takes is one of four kinds (`InputKind`):

  | kind | input | output |
  |---|---|---|
  | `image` | `(batch, channels, height, width)` | `(batch, outputs)` |
  | `clip` | `(batch, time, channels, height, width)`, `time` fixed | `(batch, outputs)` |
  | `image_sequence` | `(batch, time, channels, height, width)`, any `time` | per step |
  | `vector_sequence` | `(batch, time, features)`, any `time` | per step |

- The two sequence kinds are `SequenceNetwork`s: they also take and give back a state, a tuple of
  tensors each `(batch, ...)`, so that a sequence can be given in pieces of any length, one frame at
  a time too, with the result of the whole. Only the past is looked at.

Pictures are float32 in [0, 1]; a network that wants them otherwise (mean and deviation of ImageNet)
does so in its first layer, so that an exported model takes the same pictures as every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

State = tuple[Tensor, ...]
"""What a sequence network remembers: tensors whose first axis is the batch."""


class InputKind(Enum):
    """What a network takes; see the module's table."""

    IMAGE = "image"
    CLIP = "clip"
    IMAGE_SEQUENCE = "image_sequence"
    VECTOR_SEQUENCE = "vector_sequence"


class HeadKind(Enum):
    """What the values of a head are."""

    CATEGORICAL = "categorical"
    """Logits of classes of which one holds (softmax)."""
    MULTI_LABEL = "multi_label"
    """Logits of labels of which any may hold (sigmoid): emotions seen together, action units."""
    CONTINUOUS = "continuous"
    """Values as they are: valence and arousal."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A stretch of a network's outputs."""

    name: str
    """`expression`, `valence_arousal`, `action_units`, ...: the task, the same word everywhere."""
    kind: HeadKind
    size: int
    """Number of values."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"expected head {self.name!r} to have a size above 0; got {self.size}")


class Network(nn.Module):
    """A network of the zoo: a module that states its heads.

    Subclasses set `heads` in `__init__`, and `forward` gives `(..., outputs)`.
    """

    heads: tuple[Head, ...]

    @property
    def outputs(self) -> int:
        """Values in the last axis of what `forward` gives."""
        return sum(head.size for head in self.heads)


class SequenceOutput(NamedTuple):
    """What a sequence network says of a stretch of time."""

    outputs: Tensor
    """`(batch, time, outputs)`: each step from that step and those before."""
    state: State
    """To be given with the next stretch."""


class SequenceNetwork(Network):
    """A network over any number of steps, with a state between stretches."""

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Go on from `state` (the beginning where None) over `(batch, time, ...)` inputs."""
        raise NotImplementedError

    def initial_state(self, batch: int) -> State:
        """Return the state of the beginning, on the network's device."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A row of the zoo's table (`emotrace.models.zoo`)."""

    name: str
    """As on the command line: paper, then what it is, in lower case with dashes."""
    paper: str
    """Where it comes from, with section or table."""
    summary: str
    """One line."""
    kind: InputKind
    options: type[Any]
    """Frozen, keyword-only dataclass with a default for every field; it says the shape of what the
    network takes: `input_size_px` and `input_channels` for pictures, `frames` for clips,
    `features` for vectors."""
    build: Callable[[Any], Network]
    """Makes the network from its options, with fresh weights drawn from torch's generator."""
    published_parameters: int | None = None
    """Trainable parameters with the default options as the paper states them; None where it does
    not."""


def split_outputs(outputs: Tensor, heads: Sequence[Head]) -> dict[str, Tensor]:
    """Take `(..., outputs)` apart by head name.

    Raises:
        UsageError: The last axis is not as long as all heads together.
    """
    sizes = [head.size for head in heads]
    if outputs.shape[-1] != sum(sizes):
        raise UsageError(
            f"expected {sum(sizes)} values for the heads {[head.name for head in heads]}; "
            f"got {outputs.shape[-1]}"
        )
    found: dict[str, Tensor] = {}
    start = 0
    for head in heads:
        found[head.name] = outputs[..., start : start + head.size]
        start += head.size
    return found


def example_shape(architecture: Architecture, options: Any) -> tuple[int, ...]:
    """Return the shape of one input, without the batch; sequences get two steps."""
    if architecture.kind is InputKind.VECTOR_SEQUENCE:
        return (2, options.features)
    picture = (options.input_channels, options.input_size_px, options.input_size_px)
    if architecture.kind is InputKind.IMAGE:
        return picture
    steps = options.frames if architecture.kind is InputKind.CLIP else 2
    return (steps, *picture)
