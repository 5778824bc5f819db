"""What Keras 2 does where a paper that was implemented in it says nothing.

salinas2018 (section V-A) and rangulov2020 (abstract) name Keras and few of its settings, so what
they ran is Keras's defaults: weights after Glorot and Bengio (2010), which rangulov2020 also states
(section V), orthogonal recurrent weights after Saxe et al. (2014, arXiv:1312.6120), zero biases,
and a batch norm that averages slowly.
"""

from __future__ import annotations

from typing import Final

from torch import nn

BATCH_NORM_EPSILON: Final = 1e-3
"""`epsilon` of Keras's BatchNormalization; torch's own is 1e-5."""
BATCH_NORM_MOMENTUM: Final = 0.01
"""What a batch adds to the running averages: 1 - 0.99, Keras's `momentum`; torch's own is 0.1."""


def initialise_as_keras(network: nn.Module) -> None:
    """Draw all weights anew as Keras would, from torch's generator; norms stay at scale 1, shift 0.

    A recurrent layer's gates are one matrix, there as here, and are drawn as one.
    """
    for full_name, parameter in network.named_parameters():
        name = full_name.rpartition(".")[2]
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter)
        elif parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
