"""What a network of the zoo weighs and costs, found without computing anything.

The counting rule: a multiply-add is one multiplication and the addition that takes its product, in
convolutions, linear layers, matrix products and attention; recurrent layers count as the products
that they are made of. Biases, norms, activations and pooling are not counted. The count is for one
output: one picture, one clip of `frames` pictures, or one further step of a sequence, whatever its
length so far. That is what an analysed frame costs.

Counting is torch's own (`FlopCounterMode` sees every operation, also of layers that torch or timm
brings; it counts two operations for a multiply-add), on tensors without content (the device
`meta`), so that 25 million weights need neither memory nor time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from emotrace.models.architecture import InputKind, example_shape

if TYPE_CHECKING:
    from emotrace.models.architecture import Architecture, Network

SEQUENCE_KINDS = (InputKind.IMAGE_SEQUENCE, InputKind.VECTOR_SEQUENCE)


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What a network weighs and does."""

    parameters: int
    """Trainable ones."""
    multiply_adds: int
    """For one output; the module says what counts."""


def count_parameters(network: torch.nn.Module) -> int:
    """Count what training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def measure_cost(architecture: Architecture, options: Any = None) -> NetworkCost:
    """Count the trainable parameters and multiply-adds of an architecture.

    Args:
        architecture: A row of the zoo.
        options: The defaults of the row unless given.
    """
    if options is None:
        options = architecture.options()
    network = build_without_weights(architecture, options)
    return cost_of(network, architecture, options)


def build_without_weights(architecture: Architecture, options: Any) -> Network:
    """Build a network whose weights have a shape and no content: at once, in no memory."""
    with torch.device("meta"):
        return architecture.build(options)


def cost_of(network: Network, architecture: Architecture, options: Any) -> NetworkCost:
    """Count the trainable parameters and multiply-adds of a network built from `options`."""
    shape = example_shape(architecture, options)
    if architecture.kind in SEQUENCE_KINDS:
        shape = (1, *shape[1:])
    weight = next(network.parameters())
    return NetworkCost(
        parameters=count_parameters(network),
        multiply_adds=count_multiply_adds(network, weight.new_zeros(1, *shape)),
    )


def count_multiply_adds(network: Network, inputs: torch.Tensor) -> int:
    """Count the multiply-adds of a network, in evaluation, on these inputs with their batch."""
    was_training = network.training
    network.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(inputs)
    network.train(was_training)
    return int(counter.get_total_flops()) // 2
