"""A network over vectors behind its extractor: the whole gives what the two gave apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from emotrace.errors import UsageError
from emotrace.models.architecture import InputKind, SequenceNetwork
from emotrace.models.join import JoinedNetwork, join_extractor
from emotrace.models.zoo import find_architecture
from tests.models.small_options import build_small, random_inputs, small_options

if TYPE_CHECKING:
    from emotrace.models.architecture import Architecture, Network

PICTURES = find_architecture("rangulov2020-cnn")
VECTORS = find_architecture("rangulov2020-gru3")
OPTIONS = small_options(PICTURES)
VECTOR_OPTIONS = small_options(VECTORS, features=OPTIONS.dense_width)


def vectors_network() -> SequenceNetwork:
    network = build_small(VECTORS, features=OPTIONS.dense_width)
    assert isinstance(network, SequenceNetwork)
    return network


def join(pictures: Network, vectors: SequenceNetwork) -> tuple[JoinedNetwork, Architecture]:
    return join_extractor(pictures, PICTURES, OPTIONS, vectors, VECTORS, VECTOR_OPTIONS)


def test_the_whole_gives_what_the_parts_give_in_turn() -> None:
    pictures, vectors = build_small(PICTURES), vectors_network()
    network, row = join(pictures, vectors)
    network.eval()
    assert (network.heads, network.outputs) == (vectors.heads, vectors.outputs)
    inputs = random_inputs(row, OPTIONS, batch=2, steps=4)
    with torch.inference_mode():
        features = pictures.features(inputs.flatten(0, 1)).unflatten(0, (2, 4))  # type: ignore[operator]
        expected = vectors(features)
        whole = network(inputs)
        first = network(inputs[:, :1])
        rest = network(inputs[:, 1:], first.state)
    torch.testing.assert_close(whole.outputs, expected.outputs)
    torch.testing.assert_close(whole.state, expected.state)
    torch.testing.assert_close(rest.outputs, whole.outputs[:, 1:])


def test_the_row_says_what_the_whole_is() -> None:
    network, row = join(build_small(PICTURES), vectors_network())
    assert row.name == "rangulov2020-cnn+rangulov2020-gru3"
    assert row.kind is InputKind.IMAGE_SEQUENCE
    assert row.options is type(OPTIONS)
    assert row.build(OPTIONS) is network


def test_training_or_not_is_left_as_it_was() -> None:
    pictures = build_small(PICTURES).train()
    join(pictures, vectors_network())
    assert pictures.training


def test_what_does_not_fit_is_refused() -> None:
    pictures, vectors = build_small(PICTURES), vectors_network()
    other: Any = build_small(VECTORS)
    with pytest.raises(
        UsageError, match="to read the 24 features of rangulov2020-cnn; it reads 12"
    ):
        join_extractor(pictures, PICTURES, OPTIONS, other, VECTORS, small_options(VECTORS))
    with pytest.raises(UsageError, match="a network over vectors; got rangulov2020-cnn"):
        join_extractor(pictures, PICTURES, OPTIONS, vectors, PICTURES, OPTIONS)
    still_row = find_architecture("salinas2018-single-frame")
    still = build_small(still_row)
    with pytest.raises(UsageError, match="that gives features; got salinas2018-single-frame"):
        join_extractor(still, still_row, small_options(still_row), vectors, VECTORS, VECTOR_OPTIONS)
    with pytest.raises(
        UsageError, match="an image network that gives features; got rangulov2020-g"
    ):
        join_extractor(vectors, VECTORS, VECTOR_OPTIONS, vectors, VECTORS, VECTOR_OPTIONS)
