"""A network over vectors put behind the network whose features the vectors are.

What was trained apart, an extractor on stills and layers over time on its features, becomes one
network over pictures: that is what can be exported and run on a video.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from emotrace.errors import UsageError
from emotrace.models.architecture import (
    Architecture,
    InputKind,
    SequenceNetwork,
    SequenceOutput,
    State,
    example_shape,
)

if TYPE_CHECKING:
    from emotrace.models.architecture import Network


class JoinedNetwork(SequenceNetwork):
    """The features of each picture, and a network over them. Make one with `join_extractor`."""

    def __init__(self, pictures: Network, vectors: SequenceNetwork) -> None:
        super().__init__()
        self.heads = vectors.heads
        self.pictures = pictures
        self.vectors = vectors

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Go on from `state` over `(batch, time, channels, height, width)` in [0, 1]."""
        features = _features(self.pictures, inputs.flatten(0, 1))
        steps = features.reshape(*inputs.shape[:2], features.shape[-1])
        said: SequenceOutput = self.vectors(steps, state)
        return said

    def initial_state(self, batch: int) -> State:
        """Return the state of the beginning: that of the network over vectors."""
        return self.vectors.initial_state(batch)


def join_extractor(
    pictures: Network,
    pictures_row: Architecture,
    pictures_options: Any,
    vectors: SequenceNetwork,
    vectors_row: Architecture,
    vectors_options: Any,
) -> tuple[JoinedNetwork, Architecture]:
    """Put a network over vectors behind an image network.

    Args:
        pictures: The extractor: an image network with `features`.
        pictures_row: Its row of the zoo.
        pictures_options: Those it was built from.
        vectors: The network over its features. Both are kept, not copied.
        vectors_row: Its row of the zoo.
        vectors_options: Those it was built from.

    Returns:
        The whole, and a row for it that is in no table: its options are `pictures_options`.

    Raises:
        UsageError: The two are not of these kinds, or the sizes of the features differ.
    """
    if pictures_row.kind is not InputKind.IMAGE or not callable(
        getattr(pictures, "features", None)
    ):
        raise UsageError(f"expected an image network that gives features; got {pictures_row.name}")
    if vectors_row.kind is not InputKind.VECTOR_SEQUENCE:
        raise UsageError(f"expected a network over vectors; got {vectors_row.name}")
    size = _feature_size(pictures, example_shape(pictures_row, pictures_options))
    if size != vectors_options.features:
        raise UsageError(
            f"expected {vectors_row.name} to read the {size} features of {pictures_row.name}; it "
            f"reads {vectors_options.features}"
        )
    network = JoinedNetwork(pictures, vectors)
    row = Architecture(
        name=f"{pictures_row.name}+{vectors_row.name}",
        paper=f"{pictures_row.paper}; {vectors_row.paper}",
        summary=f"{pictures_row.summary}, and on its features {vectors_row.summary}",
        kind=InputKind.IMAGE_SEQUENCE,
        options=type(pictures_options),
        build=lambda _: network,
    )
    return network, row


def _feature_size(pictures: Network, shape: tuple[int, ...]) -> int:
    was_training = pictures.training
    pictures.eval()
    with torch.inference_mode():
        weight = next(pictures.parameters())
        features = _features(pictures, weight.new_zeros(1, *shape))
    pictures.train(was_training)
    return int(features.shape[-1])


def _features(pictures: nn.Module, images: Tensor) -> Tensor:
    features: Tensor = pictures.features(images)  # type: ignore[operator]
    return features
