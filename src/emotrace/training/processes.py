"""One training on several processes: sums and joins that gradients pass through, one batch norm.

Each process has a slice of every global batch. Losses are computed on the outputs of all of them
(`join_processes`), so that a loss which is no mean over samples (CCC) and samples without labels
come out as in one process; every process has the same loss, and DDP's mean over the processes'
gradients is then the gradient of that loss. `torch.distributed.nn` offers the same functions but is
deprecated, and torch's own synchronised batch norm works on no CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from collections.abc import Sequence


def process_count() -> int:
    """Return how many processes train together; 1 where none was started for it."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """Return which of them this one is, from 0."""
    return dist.get_rank() if process_count() > 1 else 0


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        values = values.contiguous()
        parts = [torch.empty_like(values) for _ in range(process_count())]
        dist.all_gather(parts, values)
        return torch.cat(parts)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(process_count())[process_rank()]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def join_processes(values: Tensor) -> Tensor:
    """Return `(processes * batch, ...)`: every process's `(batch, ...)`, in the order of ranks.

    Gradients flow back to the process that a value came from.
    """
    if process_count() == 1:
        return values
    joined: Tensor = _Join.apply(values)
    return joined


def sum_over_processes(values: Tensor) -> Tensor:
    """Return the sum of every process's `values`; gradients flow back to all of them."""
    if process_count() == 1:
        return values
    total: Tensor = _Sum.apply(values)
    return total


def own_slice(items: Sequence[Any], rank: int, count: int) -> Sequence[Any]:
    """Return the part of a global batch that one of `count` processes has.

    Args:
        items: A whole number of items for each process.
        rank: Which process, from 0.
        count: How many there are.
    """
    size = len(items) // count
    return items[rank * size : (rank + 1) * size]


class JointBatchNorm(_BatchNorm):
    """Batch norm over the slices of all processes: what one process would have made of the whole.

    Takes any number of axes; parameters and buffers are those of torch's own. What timm's kind does
    after normalising (`BatchNormAct2d`: drop, then activate) is done here too.
    """

    after: tuple[nn.Module, ...] = ()

    def _check_input_dim(self, _: Tensor) -> None:
        """Accept every shape: it stands in for the 1-, 2- and 3-dimensional kinds."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise `(batch, channels, ...)`."""
        if self.training and process_count() > 1:
            outputs = self._normalise_jointly(inputs)
        else:
            outputs = super().forward(inputs)
        for module in self.after:
            outputs = module(outputs)
        return outputs

    def _normalise_jointly(self, inputs: Tensor) -> Tensor:
        axes = [0, *range(2, inputs.ndim)]
        shape = (1, -1, *(1,) * (inputs.ndim - 2))
        values = inputs.float()
        count = values.numel() // values.shape[1] * process_count()
        mean = sum_over_processes(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        result = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(inputs.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        weight = self.momentum
        if weight is None:  # the mean over all batches so far
            weight = 1 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


def join_batch_norms(network: nn.Module) -> nn.Module:
    """Put a `JointBatchNorm` in the place of every batch norm; the state's names stay."""
    for name, module in network.named_children():
        if isinstance(module, _BatchNorm) and not isinstance(module, JointBatchNorm):
            setattr(network, name, _joint(module))
        else:
            join_batch_norms(module)
    return network


def _joint(module: _BatchNorm) -> JointBatchNorm:
    joint = JointBatchNorm(
        module.num_features,
        eps=module.eps,
        momentum=module.momentum,
        affine=module.affine,
        track_running_stats=module.track_running_stats,
    )
    joint.weight, joint.bias = module.weight, module.bias
    joint.running_mean, joint.running_var = module.running_mean, module.running_var
    joint.num_batches_tracked = module.num_batches_tracked
    joint.after = tuple(
        part for part in (getattr(module, name, None) for name in ("drop", "act")) if part
    )
    joint.training = module.training
    return joint


def evaluate_batch_norms(network: nn.Module) -> None:
    """Keep the statistics of every batch norm in `network` as they are, also while it trains."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
