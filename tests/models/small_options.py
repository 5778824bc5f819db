"""Options that make each architecture small enough to be trained in a test.

A row of the zoo that is not named here is tested with its defaults, which is right where these are
small already. What must hold of the defaults themselves, such as the published counts of
parameters, is tested on the defaults.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from emotrace.models.architecture import (
    InputKind,
    SequenceNetwork,
    example_shape,
)

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.models.architecture import Architecture, Network

_SALINAS2018 = {"input_size_px": 128, "input_channels": 1, "filters": (8, 12, 12, 12, 16)}
_SALINAS2018_DENSE = {**_SALINAS2018, "dense_width": 32}
_RANGULOV2020_CNN = {"input_size_px": 32, "filters": (8, 12, 16), "dense_width": 24}
_COMPACT = {"input_size_px": 16, "stem_width": 4, "widths": (8, 12), "blocks": (1, 2)}
# timm's own for tests; the default backbones are built, counted and exported elsewhere.
_TIMM = {"backbone": "test_resnet", "input_size_px": 32}
# A window that the tests' sequences outgrow.
_OVER_TIME = {"width": 8, "window": 3, "attention_heads": 2, "kernel": 2}
_TCN = {**_OVER_TIME, "layers": 2}
_VECTORS = {**_OVER_TIME, "features": 12}

SMALL: dict[str, dict[str, Any]] = {
    "salinas2018-single-frame": _SALINAS2018_DENSE,
    "salinas2018-early-fusion": {**_SALINAS2018_DENSE, "frames": 3},
    "salinas2018-late-fusion": _SALINAS2018_DENSE,
    "salinas2018-slow-fusion": _SALINAS2018_DENSE,
    "salinas2018-conv3d": _SALINAS2018_DENSE,
    "salinas2018-recurrent": _SALINAS2018,
    "rangulov2020-cnn": _RANGULOV2020_CNN,
    "rangulov2020-rnn": {"features": 12, "widths": (10,)},
    "rangulov2020-gru1": {"features": 12, "widths": (10,)},
    "rangulov2020-gru3": {"features": 12, "widths": (10, 9, 8)},
    "rangulov2020-cnn-rnn": {**_RANGULOV2020_CNN, "widths": (10,)},
    "rangulov2020-cnn-gru1": {**_RANGULOV2020_CNN, "widths": (10,)},
    "rangulov2020-cnn-gru3": {**_RANGULOV2020_CNN, "widths": (10, 9, 8)},
    "rangulov2020-multitask": _RANGULOV2020_CNN,
    "rangulov2020-multitask-gru3": {**_RANGULOV2020_CNN, "widths": (24, 20, 16)},
    "tzirakis2021": {"input_size_px": 32, "width": 8},
    "abdullah2020-xception": {"input_size_px": 32, "dense_width": 24},
    "abdullah2020-lstm": {"features": 12, "width": 8},
    "compact": _COMPACT,
    "compact-multitask": _COMPACT,
    "compact-gru": {**_COMPACT, **_OVER_TIME},
    "compact-gru-attention": {**_COMPACT, **_OVER_TIME},
    "timm-image": _TIMM,
    "timm-gru": {**_TIMM, **_OVER_TIME},
    "timm-lstm": {**_TIMM, **_OVER_TIME},
    "timm-tcn": {**_TIMM, **_TCN},
    "timm-transformer": {**_TIMM, **_OVER_TIME},
    "vectors-gru": _VECTORS,
    "vectors-lstm": _VECTORS,
    "vectors-tcn": {**_VECTORS, **_TCN},
    "vectors-transformer": _VECTORS,
    "vectors-gru-attention": _VECTORS,
}

HEAVY = ("tzirakis2021", "abdullah2020-xception")
"""Rows that are tested with a backbone of more than 20 million weights: slow."""


def small_options(architecture: Architecture, **changes: Any) -> Any:
    """The row's options, made small; those that drop anything drop nothing unless told."""
    options = architecture.options()
    off = dict.fromkeys(dropping_fields(architecture), 0.0)
    return dataclasses.replace(options, **{**SMALL.get(architecture.name, {}), **off, **changes})


def dropping_fields(architecture: Architecture) -> list[str]:
    """Names of the options that are rates at which something is dropped."""
    fields = dataclasses.fields(architecture.options)
    return [field.name for field in fields if field.name.startswith("drop")]


def build_small(architecture: Architecture, **changes: Any) -> Network:
    torch.manual_seed(0)
    return architecture.build(small_options(architecture, **changes))


def build_used(architecture: Architecture, **changes: Any) -> Network:
    """A small network as if it had been trained a little.

    A fresh one hides faults: gates that begin at 0 block gradients, and norms whose averages have
    seen nothing let a deep network's signal die, so that it says the same of everything.
    """
    network = build_small(architecture, **changes)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                spread = float(parameter.std()) if parameter.dim() > 1 else 0.5
                parameter.add_(torch.randn_like(parameter), alpha=0.1 * spread)
        for norm in norms:
            norm.momentum = 1.0
        network.train()
        options = small_options(architecture, **changes)
        outputs_of(network, random_inputs(architecture, options, batch=16))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


def random_inputs(architecture: Architecture, options: Any, batch: int, steps: int = 3) -> Tensor:
    """Noise for vectors, soft patterns for pictures; `steps` is the length of sequences.

    Of noise for pictures, deep features are an average: to them all pictures are the same.
    """
    shape = example_shape(architecture, options)
    if is_sequence(architecture):
        shape = (steps, *shape[1:])
    generator = torch.Generator().manual_seed(1)
    if architecture.kind is InputKind.VECTOR_SEQUENCE:
        return torch.rand(batch, *shape, generator=generator)
    coarse = torch.rand(batch, *shape[:-2], 4, 4, generator=generator)
    pictures = functional.interpolate(coarse.flatten(0, -4), shape[-2:], mode="bilinear")
    return pictures.reshape(batch, *shape)


def is_sequence(architecture: Architecture) -> bool:
    return architecture.kind in (InputKind.IMAGE_SEQUENCE, InputKind.VECTOR_SEQUENCE)


def outputs_of(network: Network, inputs: Tensor) -> Tensor:
    """The outputs alone, for a sequence network too."""
    if isinstance(network, SequenceNetwork):
        return network(inputs).outputs  # type: ignore[no-any-return]
    return network(inputs)  # type: ignore[no-any-return]
