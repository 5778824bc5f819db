"""Networks put together from parts: features of pictures, layers over time, a layer for each task.

The parts have the same names in all of them (`extractor`, `temporal`, `head`), so that the weights
of one load into another that shares a part: an `extractor` trained on stills and a `temporal` part
trained on its features make a network over pictures (`emotrace.models.initialisation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from emotrace.models.architecture import Network, SequenceNetwork, SequenceOutput, State
from emotrace.models.multi_task import PointwiseLinear, TaskLayers, TaskOptions, make_heads

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.models.temporal_heads import TemporalLayers


class Extractor(nn.Module):
    """Makes features of pictures."""

    feature_size: int
    """Values of a picture."""

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` in [0, 1] to `(batch, feature_size)`."""
        raise NotImplementedError


class PictureNetwork(Network):
    """Features of a picture, and a layer for each task on them."""

    def __init__(self, extractor: Extractor, tasks: TaskOptions, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = make_heads(tasks)
        self.extractor = extractor
        self.dropout = nn.Dropout(dropout)
        self.head = TaskLayers(extractor.feature_size, self.heads, PointwiseLinear)

    def features(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` in [0, 1] to `(batch, features)`."""
        features: Tensor = self.extractor(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` in [0, 1] to `(batch, outputs)`."""
        outputs: Tensor = self.head(self.dropout(self.features(images)))
        return outputs


class VectorSequenceNetwork(SequenceNetwork):
    """Layers over time on vectors, and a layer for each task on every step."""

    def __init__(
        self, temporal: TemporalLayers, tasks: TaskOptions, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = make_heads(tasks)
        self.temporal = temporal
        self.dropout = nn.Dropout(dropout)
        self.head = TaskLayers(temporal.output_width, self.heads)

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Go on from `state` (the beginning where None) over `(batch, time, features)`."""
        before = self.initial_state(inputs.shape[0]) if state is None else state
        steps, after = self.temporal(inputs, before)
        return SequenceOutput(outputs=self.head(self.dropout(steps)), state=after)

    def initial_state(self, batch: int) -> State:
        """Return the zeros that stand for no past; `temporal` says their shapes."""
        return self.temporal.initial_state(batch)


class PictureSequenceNetwork(VectorSequenceNetwork):
    """Features of each picture, layers over time on them, a layer for each task on every step."""

    def __init__(
        self,
        extractor: Extractor,
        temporal: TemporalLayers,
        tasks: TaskOptions,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(temporal, tasks, dropout=dropout)
        self.extractor = extractor

    def features(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` in [0, 1] to `(batch, features)`."""
        features: Tensor = self.extractor(images)
        return features

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Go on from `state` over `(batch, time, channels, height, width)` in [0, 1]."""
        features = self.features(inputs.flatten(0, 1))
        steps = features.reshape(-1, inputs.shape[1], features.shape[1])
        return super().forward(steps, state)
