"""Starting a network from weights that were learnt before, as far as they fit.

A tensor is taken where name and shape agree. Names may differ by a prefix: a checkpoint of training
puts `network.` before them, a trunk that stood alone lies below `extractor.` in a network over
time. The prefixes by which most values fit are found unless they are given. What was taken, what
was left and why, and what the network still has of its own is all in the report.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from emotrace.errors import UsageError
from emotrace.models.timm_backbones import TimmExtractor
from emotrace.models.weight_files import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

LEAST_SHARE: Final = 0.5
"""Of the values of the file or of the network, whichever has fewer: what must fit where prefixes
are searched for. Networks of other architectures share some names and shapes by chance."""
_WRAPPERS: Final = ("", "averaged.module.", "network.", "model.", "module.", "_orig_mod.")
"""What training puts before a network's own names; of equals the first is taken, so that averaged
weights go before those of the last step."""

_FOLDED_TEXT: Final = (
    "  folded: the file holds those batch norms as part of the layers before them. In evaluation "
    "the network says what the file's does. For training each norm gets mean and deviation of the "
    "data that is learned from, since its own are lost; a run's checkpoint still has them."
)
_MOST_LINES: Final = 4
"""For tensors of one part that share a fate; more are counted in one line."""

Reason = Literal["no such name", "another shape", "outside the prefix"]


@dataclass(frozen=True, kw_only=True)
class TakenTensor:
    """A tensor that the network has from the file."""

    name: str
    """In the network."""
    source_name: str
    """In the file."""
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LeftTensor:
    """A tensor of the file that the network did not take."""

    source_name: str
    shape: tuple[int, ...]
    reason: Reason
    wanted_shape: tuple[int, ...] | None = None
    """The network's own shape, where that is the reason."""


@dataclass(frozen=True, kw_only=True)
class KeptTensor:
    """A tensor of the network that stays as it was."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FoldedNorm:
    """A batch norm of the network that the file has no more (`emotrace.models.folded_norms`)."""

    name: str
    """In the network."""
    source_name: str
    """In the file: the bias that stands for it; empty where the layer before it took that."""
    tensors: int
    """That the network has for it."""


@dataclass(frozen=True, kw_only=True)
class InitialisationReport:
    """What became of the weights of a file, and of the network's own."""

    source: str
    """Where the weights came from."""
    source_prefix: str
    """What was taken off the file's names."""
    prefix: str
    """What was put before them instead."""
    taken: tuple[TakenTensor, ...]
    left: tuple[LeftTensor, ...]
    kept: tuple[KeptTensor, ...]
    folded_norms: tuple[FoldedNorm, ...] = ()

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return a row for each tensor: what happened, name in the network, in the file, shape."""
        rows = [("taken", t.name, t.source_name, _shape(t.shape)) for t in self.taken]
        rows += [("folded in the file", n.name, n.source_name, "") for n in self.folded_norms]
        for tensor in self.left:
            wanted = "" if tensor.wanted_shape is None else f", not {_shape(tensor.wanted_shape)}"
            shape = f"{_shape(tensor.shape)}{wanted}"
            rows.append((f"left: {tensor.reason}", "", tensor.source_name, shape))
        rows += [("kept as it was", tensor.name, "", _shape(tensor.shape)) for tensor in self.kept]
        return rows

    def __str__(self) -> str:
        """Return a summary line, then what was not simply taken, many of one part in a line."""
        used = len(self.taken) + sum(bool(norm.source_name) for norm in self.folded_norms)
        served = len(self.taken) + sum(norm.tensors for norm in self.folded_norms)
        first = (
            f"{self.source}: took {used} of {used + len(self.left)} tensors, "
            f"for {served} of the network's {served + len(self.kept)}"
        )
        if self.source_prefix or self.prefix:
            first += f" ({self.source_prefix or 'no prefix'} as {self.prefix or 'no prefix'})"
        lines = [first]
        if self.folded_norms:
            lines[0] += f"; {len(self.folded_norms)} batch norms were folded in the file"
            lines.append(_FOLDED_TEXT)
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for what, name, source_name, shape in self.rows()[
            len(self.taken) + len(self.folded_norms) :
        ]:
            shown = name or source_name
            start = self.source_prefix if shown.startswith(self.source_prefix) else ""
            part = start + shown.removeprefix(start).partition(".")[0]
            groups[what, part].append(f"{shown} {shape}")
        for (what, part), tensors in groups.items():
            many = len(tensors) > _MOST_LINES and "shape" not in what
            shown_lines = [f"{part}.* ({len(tensors)} tensors)"] if many else tensors
            lines += [f"  {what}: {line}" for line in shown_lines]
        return "\n".join(lines)


def initialise_from_file(
    network: nn.Module,
    path: str | Path,
    *,
    source_prefix: str | None = None,
    prefix: str | None = None,
) -> InitialisationReport:
    """Give a network the weights of a file, as far as they fit.

    Args:
        network: Changed in place.
        path: A safetensors file, a Lightning checkpoint or a torch state dict.
        source_prefix: Only the file's tensors whose names begin so are looked at, without it.
        prefix: What goes before those names in the network. Both are searched for where neither is
            given.

    Raises:
        InputError: The file cannot be read.
        UsageError: Too little of it fits; the network stays as it was.
    """
    weights = read_weights(path)
    return initialise_from_weights(
        network, weights, source=str(path), source_prefix=source_prefix, prefix=prefix
    )


def initialise_from_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    source: str,
    source_prefix: str | None = None,
    prefix: str | None = None,
) -> InitialisationReport:
    """Give a network weights by name, as far as they fit; see `initialise_from_file`.

    Raises:
        UsageError: Too little of them fits; the network stays as it was.
    """
    own = network.state_dict()
    if source_prefix is None and prefix is None:
        match, share = _find_match(own, weights)
        enough = share >= LEAST_SHARE
    else:
        match = _match(own, weights, source_prefix or "", prefix or "")
        enough = match.values > 0
    if not enough:
        raise UsageError(_refusal(network, own, weights, match, source))
    # A tensor that is not there stays; one of another shape was sorted out before.
    network.load_state_dict(
        {name: weights[source_name] for name, source_name in match.taken.items()}, strict=False
    )
    return match.report(own, weights, source)


def initialise_from_imagenet(network: nn.Module) -> tuple[InitialisationReport, ...]:
    """Give every backbone of timm in a network the weights that timm downloads for it.

    Raises:
        UsageError: There is no backbone of timm, or timm has no weights for it.
        DownloadError: The weights cannot be fetched.
    """
    reports = []
    for name, module in network.named_modules():
        if not isinstance(module, TimmExtractor):
            continue
        pretrained = module.create(pretrained=True)
        reports.append(
            initialise_from_weights(
                network,
                pretrained.state_dict(),
                source=f"timm {module.name}",
                source_prefix="",
                prefix=f"{name}.backbone." if name else "backbone.",
            )
        )
    if not reports:
        raise UsageError(
            f"expected a network on a backbone of timm, for which there are ImageNet weights; "
            f"got {type(network).__name__} without one"
        )
    return tuple(reports)


@dataclass(frozen=True, kw_only=True)
class _Match:
    """Which tensors agree, given prefixes."""

    source_prefix: str
    prefix: str
    taken: dict[str, str] = field(default_factory=dict)
    """Name in the network to name in the file."""
    values: int = 0
    """In the tensors that are taken."""

    def report(
        self, own: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str
    ) -> InitialisationReport:
        used = set(self.taken.values())
        left = []
        for name, value in weights.items():
            if name in used:
                continue
            renamed = _rename(name, self.source_prefix, self.prefix)
            target = None if renamed is None else own.get(renamed)
            reason: Reason = "another shape" if target is not None else "no such name"
            left.append(
                LeftTensor(
                    source_name=name,
                    shape=tuple(value.shape),
                    reason="outside the prefix" if renamed is None else reason,
                    wanted_shape=None if target is None else tuple(target.shape),
                )
            )
        return InitialisationReport(
            source=source,
            source_prefix=self.source_prefix,
            prefix=self.prefix,
            taken=tuple(
                TakenTensor(name=name, source_name=source_name, shape=tuple(own[name].shape))
                for name, source_name in self.taken.items()
            ),
            left=tuple(left),
            kept=tuple(
                KeptTensor(name=name, shape=tuple(value.shape))
                for name, value in own.items()
                if name not in self.taken
            ),
        )


def _rename(source_name: str, source_prefix: str, prefix: str) -> str | None:
    if not source_name.startswith(source_prefix):
        return None
    return prefix + source_name.removeprefix(source_prefix)


def _match(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], source_prefix: str, prefix: str
) -> _Match:
    taken: dict[str, str] = {}
    values = 0
    for source_name, value in weights.items():
        name = _rename(source_name, source_prefix, prefix)
        if name is not None and name in own and own[name].shape == value.shape:
            taken[name] = source_name
            values += value.numel()
    return _Match(source_prefix=source_prefix, prefix=prefix, taken=taken, values=values)


def _find_match(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> tuple[_Match, float]:
    """Return the match in which the most values fit; of equals, that of the first prefixes.

    In the file: what training adds, and then one of its own first names. In the network: any of its
    parts.

    Returns:
        The match, and the share that its values are of the file's (those that training named alike)
        or of the network's, whichever has fewer: one must lie within the other, more or less.
    """
    parts = _parts_of(own, depth=3)
    starts = [(wrapper, "") for wrapper in _WRAPPERS]
    starts += [
        (wrapper, source_part)
        for wrapper in _WRAPPERS
        for source_part in _parts_of(_below(weights, wrapper), depth=1)
    ]
    candidates = [
        (_match(own, weights, wrapper + source_part, part), wrapper)
        for wrapper, source_part in starts
        for part in parts
    ]
    match, wrapper = max(candidates, key=lambda candidate: candidate[0].values)
    offered = sum(value.numel() for value in _below(weights, wrapper).values())
    wanted = sum(value.numel() for value in own.values())
    return match, match.values / max(1, min(offered, wanted))


def _parts_of(tensors: Mapping[str, Tensor], *, depth: int) -> list[str]:
    """Return what two or more names begin with, to a depth, the shortest first."""
    counts: dict[str, int] = defaultdict(int)
    for name in tensors:
        pieces = name.split(".")[:-1]
        for end in range(min(len(pieces), depth) + 1):
            counts["".join(f"{piece}." for piece in pieces[:end])] += 1
    return sorted((part for part, count in counts.items() if count > 1 or not part), key=len)


def _below(weights: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)
    }


def _refusal(
    network: nn.Module,
    own: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    match: _Match,
    source: str,
) -> str:
    total = sum(value.numel() for value in weights.values())
    return (
        f"expected weights for {type(network).__name__}, with names like {_examples(own)}; got "
        f"those of another architecture in {source}: {match.values} of its {total} values fit, "
        f"with names like {_examples(weights)}; give the options it was trained with, or the "
        f"prefixes of the part that is wanted"
    )


def _examples(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {_shape(tuple(tensors[name].shape))}" for name in list(tensors)[:3])


def _shape(shape: tuple[int, ...]) -> str:
    """Write a shape.

    >>> _shape((8, 3)), _shape(())
    ('8 x 3', 'single value')
    """
    return " x ".join(map(str, shape)) if shape else "single value"
