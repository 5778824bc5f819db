"""Batch norms that a file has no more, because its exporter folded them into the layers before.

Such a layer's weight is the product, and its bias holds the rest of the norm. A network that takes
them must not norm a second time: its batch norms then pass the values on and add that bias, which
gives in evaluation what the file's network gives.

Training is another matter, because a norm then takes mean and deviation from the batch, and which
scale it had is not in the file. `settle_norms` looks at the values that go into each norm and gives
it their mean and deviation, with a scale and a shift that undo them: the same in evaluation, and
nearly the same on a batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from emotrace.models.initialisation import FoldedNorm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from emotrace.models.initialisation import InitialisationReport

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 -- torch's only common base of them


def norms_after(network: nn.Module, inputs: Tensor) -> dict[str, str]:
    """Return which batch norm reads what a layer gives: name of the layer to name of the norm.

    Args:
        network: Run once, in evaluation; left as it is.
        inputs: Any that it takes.
    """
    given: dict[int, tuple[str, Tensor]] = {}
    found: dict[str, str] = {}

    def remember(name: str) -> Callable[..., None]:
        # The tensor is kept, so that no other gets its identity.
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            given[id(output)] = (name, output)

        return hook

    def look_up(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, read: tuple[Tensor, ...]) -> None:
            if id(read[0]) in given:
                found[given[id(read[0])][0]] = name

        return hook

    hooks: list[Any] = []
    for name, module in network.named_modules():
        if isinstance(module, _LAYERS):
            hooks.append(module.register_forward_hook(remember(name)))
        elif isinstance(module, _NORMS):
            hooks.append(module.register_forward_pre_hook(look_up(name)))
    _run_in_evaluation(network, [inputs], hooks)
    return found


def pass_folded_norms(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    report: InitialisationReport,
    inputs: Tensor,
) -> InitialisationReport:
    """Make batch norms that a file folded away pass values on, with the bias that stands for them.

    Args:
        network: Has taken the weights already; changed in place.
        weights: Of the file.
        report: What became of them.
        inputs: Any that the network takes.

    Returns:
        The report, in which those biases are taken and those norms are named.
    """
    sources = {tensor.name: tensor.source_name for tensor in report.taken}
    folded: list[FoldedNorm] = []
    for layer, name in norms_after(network, inputs).items():
        source = sources.get(f"{layer}.weight")
        norm = network.get_submodule(name)
        own = [f"{name}.{tensor}" for tensor in norm.state_dict()]
        if source is None or not _is_usual(norm) or any(tensor in sources for tensor in own):
            continue
        # A layer with a bias of its own has taken it.
        bias = "" if f"{layer}.bias" in sources else f"{source.removesuffix('weight')}bias"
        _pass_on(norm, weights.get(bias))
        folded.append(
            FoldedNorm(name=name, source_name=bias if bias in weights else "", tensors=len(own))
        )
    biases = {norm.source_name for norm in folded}
    starts = tuple(f"{norm.name}." for norm in folded)
    return replace(
        report,
        folded_norms=tuple(folded),
        left=tuple(tensor for tensor in report.left if tensor.source_name not in biases),
        kept=tuple(tensor for tensor in report.kept if not tensor.name.startswith(starts)),
    )


def _is_usual(norm: Any) -> bool:
    """Whether a norm has all that is set here; torch's may lack its scale or its averages."""
    return bool(norm.affine and norm.track_running_stats)


def _pass_on(norm: Any, shift: Tensor | None) -> None:
    with torch.no_grad():
        norm.reset_running_stats()
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(torch.zeros_like(norm.bias) if shift is None else shift)


def settle_norms(network: nn.Module, names: Sequence[str], batches: Iterable[Tensor]) -> None:
    """Give batch norms the mean and deviation of what they read, and undo both behind them.

    In evaluation the network stays what it was; in training it becomes nearly that.

    Args:
        network: Changed in place.
        names: Of its batch norms.
        batches: Inputs like those of training; without any, nothing changes.
    """
    sums: dict[str, tuple[int, Tensor, Tensor]] = {}

    def add(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, read: tuple[Tensor, ...]) -> None:
            values = read[0].transpose(0, 1).flatten(1).double()
            count, total, squares = sums.get(name, (0, 0.0, 0.0))
            sums[name] = (
                count + values.shape[1],
                total + values.sum(1),
                squares + values.square().sum(1),
            )

        return hook

    hooks = [network.get_submodule(n).register_forward_pre_hook(add(n)) for n in names]
    _run_in_evaluation(network, batches, hooks)
    for name, (count, total, squares) in sums.items():
        norm: Any = network.get_submodule(name)
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        with torch.no_grad():
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            shift = norm.bias - scale * norm.running_mean
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_(scale * (norm.running_var + norm.eps).sqrt())
            norm.bias.copy_(shift + scale * norm.running_mean)


def _run_in_evaluation(network: nn.Module, batches: Iterable[Tensor], hooks: Sequence[Any]) -> None:
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            for inputs in batches:
                network(inputs)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
