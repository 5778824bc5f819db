"""How common each expression is taken to be, and what that makes of a model's logits.

**The prior.** The network's expression outputs are *balanced* logits z: the evidence in the picture
if all expressions were equally common. Probabilities are softmax(z / temperature + log prior), so
how common each expression is taken to be is a visible setting: `training` (as in the training data,
best on more of the same), `uniform` (best average recall), `default` (the bundle's own tempered
one), or your own shares.

*Plain* logits, as ordinary training gives them, contain the training data's shares: softmax(z /
temperature) is the answer under the prior `training`. They become balanced ones when the logarithm
of those shares is taken away. Where nobody knows the shares, the bundle has but one prior, its own
(`AS_TRAINED`).

With several expression outputs (label sets) their probabilities are mixed by the weights that the
spec states for the prior, and the mixture gets a temperature of its own
(`BundleSpec.temperatures`): mixing and soft labels make it less sure than it has reason to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.bundle_outputs import TRAINING_PRIOR
from emotrace.errors import BundleError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.bundle_spec import BundleSpec

PriorChoice = str | Mapping[str, float]
"""`training`, `default`, `uniform`, another that the bundle states (the default one: `votes`,
`fer2013`), or a share for every label."""
AS_TRAINED: Final = "as-trained"
"""Name of the prior of a bundle whose training data's shares nobody knows."""


def mix_expressions(
    spec: BundleSpec,
    logits: Mapping[str, NDArray[np.float32]],
    log_prior: NDArray[np.float64],
    prior_name: str,
) -> NDArray[np.float32]:
    """Turn the logits of each expression output into one set of probabilities.

    Args:
        spec: Names the outputs, their labels, temperatures and weights.
        logits: By output name, `(n, labels of that output)`.
        log_prior: `(labels,)`.
        prior_name: Chooses the weights.

    Returns:
        `(n, labels)` float32, rows summing to 1.
    """
    total: NDArray[np.float64] | None = None
    complete: NDArray[np.float64] | None = None
    for output in spec.expression_outputs:
        at = [spec.labels.index(name) for name in output.labels]
        scores = logits[output.name].astype(np.float64) / output.temperature + log_prior[at]
        if not output.balanced and TRAINING_PRIOR in spec.priors:
            # After the temperature, which makes of plain logits the probabilities in a world where
            # the labels are as common as in the training data.
            training = np.asarray(spec.priors[TRAINING_PRIOR], np.float64)
            scores -= np.log(training / training.sum())[at]
        part = softmax(scores)
        whole = np.zeros((len(part), len(spec.labels)))
        if complete is None:
            whole[:, at] = part
            complete = whole
        else:
            # Labels that this output lacks keep the mass that the complete output gives them.
            lacking = [i for i in range(len(spec.labels)) if i not in at]
            whole[:, lacking] = complete[:, lacking]
            whole[:, at] = part * (1 - complete[:, lacking].sum(axis=1, keepdims=True))
        weight = output.weight_under(prior_name)
        total = weight * whole if total is None else total + weight * whole
    if total is None:
        raise BundleError(f"expected an expression output in the spec of {spec.name}; got none")
    total /= total.sum(axis=1, keepdims=True)
    temperature = spec.temperature_under(prior_name)
    if temperature != 1:
        # Scaled by the largest first: a power of a small one alone could underflow to 0.
        total = (total / total.max(axis=1, keepdims=True)) ** (1 / temperature)
        total /= total.sum(axis=1, keepdims=True)
    mixed: NDArray[np.float32] = total.astype(np.float32)
    return mixed


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n, k)` probabilities, rows summing to 1, of `(n, k)` logits."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def resolve_prior(spec: BundleSpec, prior: PriorChoice) -> tuple[str, NDArray[np.float64]]:
    """Return the prior's name and its shares in the order of the labels.

    Raises:
        UsageError: The bundle has no such prior, or shares cannot work.
    """
    count = len(spec.labels)
    if not spec.priors and not any(output.balanced for output in spec.expression_outputs):
        if prior != "default":
            raise UsageError(
                f"expected no prior for the bundle {spec.name}, which does not state how common "
                f"each expression was in its training data; got {prior!r}; leave it away"
            )
        # As good as none: a constant in all logits.
        return AS_TRAINED, np.full(count, 1 / max(count, 1))
    if isinstance(prior, str):
        if prior == "uniform":
            return prior, np.full(count, 1 / count)
        if prior not in spec.priors:
            choices = ", ".join([*spec.priors, "uniform"])
            raise UsageError(
                f"expected a prior out of {choices}, or a share for each expression; got {prior!r}"
            )
        shares = np.asarray(spec.priors[prior], np.float64)
        return prior, shares / shares.sum()
    missing = [name for name in spec.labels if name not in prior]
    # A share of 0 for what the bundle cannot say asks for nothing.
    unknown = [name for name in prior if name not in spec.labels and prior[name] != 0]
    if missing or unknown:
        raise UsageError(
            f"expected a prior share for each of {', '.join(spec.labels)}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    shares = np.asarray([float(prior[name]) for name in spec.labels])
    if not np.all(np.isfinite(shares)) or np.any(shares < 0) or shares.sum() <= 0:
        raise UsageError(f"expected prior shares of 0 or more, not all 0; got {dict(prior)}")
    return "custom", shares / shares.sum()
