"""What is fitted on validation after training: temperatures, mixture weights, priors, a threshold.

Plain numpy on logits that are computed once. The test split is never looked at here.

**Two temperatures, two questions.** Each output has one, that of the FER+ output fitted to the
annotators' votes: their shares are softer than any one answer. But a user reads the confidence as
"how likely is the label to be right", and right means: what most annotators said. A probability
that fits the shares is too low for that (0.70 where 82 % are right), and mixing two outputs lowers
it further. So the mixture has a temperature of its own for each prior, fitted to the most chosen
emotion of *every* validation face, those included on which the annotators disagree. It changes no
label.

**The prior `votes`** answers another question than all others: not which expression most
annotators chose, but what share of those who chose one of the eight chose each, single votes
included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.bundle import mix_expressions
from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.labels import FER2013_EMOTIONS
from emotrace.metrics import (
    accuracy,
    expected_calibration_error,
    kl_divergence,
    unweighted_average_recall,
)
from emotrace.training.reliability import (
    SURE_ACCURACY,
    choose_uncertain_threshold,
    keep_above,
    threshold_for,
)
from emotrace.training.temperature import fit_temperature, fit_temperature_and_bias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emotrace.bundle_spec import BundleSpec, ExpressionOutput

PRIOR_POWERS: Final = tuple(round(0.1 * step, 1) for step in range(11))
PRIOR_TIE: Final = 0.005
"""Means of accuracy and recall nearer than this are alike: the rare expressions have so few faces
that the 95 % interval of the recall alone spans nine points (the shipped bundle's card)."""
MIXTURE_WEIGHTS: Final = (1.0, 0.75, 0.5)
"""Shares of the FER+ output that are tried; the FER2013 output has the rest."""
FER2013_PRIOR: Final = "fer2013"
"""Prior under which the FER2013 output answers alone: what that data set's label would say."""
LEAST_SHARE: Final = 1e-9
"""Of an expression in a prior, as in `emotrace.bundle`: not 0, whose logarithm makes NaN."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """The validation split as the network sees it."""

    logits: Mapping[str, NDArray[np.float32]]
    """Balanced logits by output name, `(n, labels of that output)`."""
    vote_shares: NDArray[np.float32]
    """`(n, 8)`, single votes dropped as noise."""
    cast_shares: NDArray[np.float32]
    """`(n, 8)`, of the votes as they were cast."""
    majority: NDArray[np.int64]
    """`(n,)`, -1 where the protocol gives no label."""
    argmax: NDArray[np.int64]
    """`(n,)`: the emotion that most annotators chose; every face has one."""
    fer2013: NDArray[np.int64]
    """`(n,)`, index into the bundle's labels or -1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingShares:
    """How common the expressions are in the training split; each sums to 1."""

    ferplus: NDArray[np.floating]
    """`(8,)`: of the votes."""
    fer2013: NDArray[np.floating]
    """`(7,)`: of FER2013's labels, in the order of `FER2013_EMOTIONS`."""


def calibrate(
    spec: BundleSpec, data: Validation, shares: TrainingShares
) -> tuple[BundleSpec, dict[str, Any]]:
    """Fit everything that turns a trained network's logits into a bundle's predictions.

    Args:
        spec: With the FER+ output first and the FER2013 output second; their temperatures and
            weights, the priors and the thresholds are set here.
        data: The validation split.
        shares: Of the training split.

    Returns:
        The spec, and what was found on the way, ready for JSON: a row per prior power tried
        (`prior_sweep`, `fer2013_prior_sweep`), for each prior the temperature of the mixture with
        the calibration error before and after (`temperatures`), what the `uncertain` threshold
        keeps (`uncertain`), and what one keeps from which on 90 % are right (`sure`; None where
        there is none).
    """
    prior = np.maximum(shares.ferplus, LEAST_SHARE)
    prior_2013 = np.maximum(shares.fer2013, LEAST_SHARE)
    # Of a spec that was calibrated before, nothing must linger.
    spec = replace(spec, temperatures={}, uncertain_threshold=None)
    spec = _fit_outputs(spec, data, prior, prior_2013)
    # Elsewhere than on FER+'s own faces neither label set is the truth: half and half.
    halves = dict.fromkeys(("default", "uniform", "custom"), 0.5)
    spec = with_weights(spec, {"training": 1.0, VOTES_PRIOR: 1.0, FER2013_PRIOR: 0.0, **halves})
    spec = with_weights(spec, {"training": choose_weight(spec, data, prior)})
    power, sweep = choose_prior_power(spec, data, prior)
    power_2013, sweep_2013 = choose_prior_power(spec, data, prior_2013, name=FER2013_PRIOR)
    priors = {
        "training": prior,
        "default": temper_prior(prior, power),
        FER2013_PRIOR: _tempered(spec, prior_2013, power_2013),
    }
    spec = replace(spec, priors={name: tuple(map(float, value)) for name, value in priors.items()})
    spec, fitted = _fit_mixtures(spec, data)
    spec = _fit_votes(spec, data)
    probabilities = predict_under(spec, data, "default")
    threshold = choose_uncertain_threshold(data.argmax, probabilities)
    sure = threshold_for(data.argmax, probabilities, SURE_ACCURACY)
    spec = replace(spec, uncertain_threshold=threshold)
    return spec, {
        "prior_sweep": sweep,
        "fer2013_prior_sweep": sweep_2013,
        "temperatures": fitted,
        "uncertain": keep_above(data.argmax, probabilities, threshold),
        "sure": None if sure is None else keep_above(data.argmax, probabilities, sure),
    }


def _fit_outputs(
    spec: BundleSpec,
    data: Validation,
    prior: NDArray[np.floating],
    prior_2013: NDArray[np.floating],
) -> BundleSpec:
    """Set each output's temperature: the FER+ one's to the votes, the other's to its labels."""
    seen = logits_and_truths(spec, data)
    return replace(
        spec,
        expression_outputs=tuple(
            replace(output, temperature=fit_temperature(logits, truth, np.log(shares)))
            for output, (logits, truth), shares in zip(
                spec.expression_outputs, seen, (prior, prior_2013), strict=True
            )
        ),
    )


def logits_and_truths(
    spec: BundleSpec, data: Validation
) -> tuple[tuple[NDArray[np.floating], NDArray[np.floating]], ...]:
    """Return, for each output, its logits for the faces that it can be fitted to, and their labels.

    The FER+ output is fitted to shares of votes, the FER2013 one to labels, 1 in their column.
    """
    first, second = spec.expression_outputs
    known = data.vote_shares.sum(axis=1) > 0
    labelled = data.fer2013 >= 0
    at = [spec.labels.index(name) for name in second.labels]
    one_hot = np.eye(len(spec.labels))[data.fer2013[labelled]][:, at]
    return (
        (data.logits[first.name][known], data.vote_shares[known]),
        (data.logits[second.name][labelled], one_hot),
    )


def _fit_votes(spec: BundleSpec, data: Validation) -> BundleSpec:
    """Add the prior `votes`, with its temperature: the shares of all votes that were cast."""
    first = spec.expression_outputs[0]
    known = data.cast_shares.sum(axis=1) > 0
    scores = data.logits[first.name][known] / first.temperature
    temperature, bias = fit_temperature_and_bias(
        scores, data.cast_shares[known], np.zeros(len(spec.labels))
    )
    # A bundle divides by the mixture's temperature what has its prior already.
    raised = np.exp(bias * temperature)
    shares = np.maximum(raised / raised.sum(), LEAST_SHARE)
    return replace(
        spec,
        priors={**spec.priors, VOTES_PRIOR: tuple(map(float, shares))},
        temperatures={**spec.temperatures, VOTES_PRIOR: temperature},
    )


def _tempered(spec: BundleSpec, prior: NDArray[np.floating], power: float) -> NDArray[np.float64]:
    """Temper a prior; one of FER2013's seven expressions gets the places of the bundle's labels."""
    tempered = temper_prior(prior, power)
    if len(tempered) == len(spec.labels):
        return tempered
    whole = np.full(len(spec.labels), LEAST_SHARE)
    whole[[spec.labels.index(name) for name in FER2013_EMOTIONS]] = tempered
    return whole


def predict_under(spec: BundleSpec, data: Validation, prior_name: str) -> NDArray[np.float32]:
    """Return the `(n, labels)` probabilities of a spec under one of its priors, or uniform."""
    uniform = np.full(len(spec.labels), 1 / len(spec.labels))
    prior = np.maximum(spec.priors.get(prior_name, uniform), LEAST_SHARE)
    return mix_expressions(spec, data.logits, np.log(prior), prior_name)


def _fit_mixtures(spec: BundleSpec, data: Validation) -> tuple[BundleSpec, dict[str, Any]]:
    """Set the temperature of the mixture under each prior; that of `custom` is the default's."""
    temperatures: dict[str, float] = {}
    report: dict[str, Any] = {}
    for name in (*spec.priors, "uniform"):
        truth = data.fer2013 if name == FER2013_PRIOR else data.argmax
        known = truth >= 0
        before = predict_under(spec, data, name)[known]
        one_hot = np.eye(len(spec.labels))[truth[known]]
        logs = np.log(np.maximum(before, LEAST_SHARE))
        temperatures[name] = fit_temperature(logs, one_hot, np.zeros(len(spec.labels)))
        after = predict_under(replace(spec, temperatures=temperatures), data, name)[known]
        report[name] = {
            "temperature": temperatures[name],
            "calibration_error_before": expected_calibration_error(truth[known], before),
            "calibration_error": expected_calibration_error(truth[known], after),
        }
    temperatures["custom"] = temperatures["default"]
    return replace(spec, temperatures=temperatures), report


def choose_weight(spec: BundleSpec, data: Validation, prior: NDArray[np.floating]) -> float:
    """Choose the FER+ output's share under the training prior: least divergence from the votes.

    The question under that prior is what FER+'s annotators would say, so their votes decide.
    """
    known = data.vote_shares.sum(axis=1) > 0

    def divergence(weight: float) -> float:
        mixed = mix_expressions(
            with_weights(spec, {"training": weight}),
            {name: values[known] for name, values in data.logits.items()},
            np.log(prior),
            "training",
        )
        return kl_divergence(data.vote_shares[known], mixed)

    return min(MIXTURE_WEIGHTS, key=divergence)


def choose_prior_power(
    spec: BundleSpec,
    data: Validation,
    training_prior: NDArray[np.floating],
    *,
    name: str = "default",
) -> tuple[float, list[dict[str, float]]]:
    """Choose the power of the training prior that makes the default one.

    The default setting must serve faces of another origin, where the expressions that are rare in
    the training data are not, without giving up those of its own. What is sought is a large mean of
    accuracy and unweighted average recall on validation (majority protocol). Near its top that mean
    hardly depends on the power, so chance would decide: of the powers within `PRIOR_TIE` of the
    best, the most balanced one is taken.

    FER2013's prior serves nothing but FER2013's own faces, so nothing speaks for more balance:
    the power with the best mean is taken.

    Args:
        spec: Its weights under the prior are used.
        data: Its `majority` labels are the truth; those of FER2013 for its prior.
        training_prior: `(labels,)`, or `(7,)` for FER2013's.
        name: The prior's, which chooses the weights.

    Returns:
        The power, and a row per power tried: `power`, `accuracy`, `recall`.
    """
    truth = data.fer2013 if name == FER2013_PRIOR else data.majority
    known = truth >= 0
    truth = truth[known]
    rows: list[dict[str, float]] = []
    for power in PRIOR_POWERS:
        mixed = mix_expressions(
            spec,
            {name: values[known] for name, values in data.logits.items()},
            np.log(np.maximum(_tempered(spec, training_prior, power), LEAST_SHARE)),
            name,
        )
        top = mixed.argmax(axis=1)
        rows.append(
            {
                "power": power,
                "accuracy": accuracy(truth, top),
                "recall": unweighted_average_recall(truth, top, len(spec.labels)),
            }
        )
    best = max(row["accuracy"] + row["recall"] for row in rows)
    tie = 0.0 if name == FER2013_PRIOR else PRIOR_TIE
    near = [row for row in rows if row["accuracy"] + row["recall"] >= best - 2 * tie]
    return min(row["power"] for row in near), rows


def temper_prior(prior: NDArray[np.floating], power: float) -> NDArray[np.float64]:
    """Raise a prior to a power and scale it to sum to 1: 1 keeps it, 0 makes it uniform.

    >>> temper_prior(np.array([0.8, 0.2]), 0.5).round(3).tolist()
    [0.667, 0.333]
    """
    raised = np.asarray(prior, np.float64) ** power
    tempered: NDArray[np.float64] = raised / raised.sum()
    return tempered


def with_weights(spec: BundleSpec, ferplus_weights: Mapping[str, float]) -> BundleSpec:
    """Return the spec with the FER+ output's mixture weights set; the other output has the rest."""
    first, second = spec.expression_outputs

    def changed(output: ExpressionOutput, weights: Mapping[str, float]) -> ExpressionOutput:
        return replace(output, weights={**output.weights, **weights})

    rest = {name: 1 - weight for name, weight in ferplus_weights.items()}
    return replace(
        spec, expression_outputs=(changed(first, ferplus_weights), changed(second, rest))
    )
