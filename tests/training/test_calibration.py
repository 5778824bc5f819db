"""What is fitted on validation, on data of which the right answer is known."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.bundle import mix_expressions
from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.bundle_spec import BundleSpec, ExpressionOutput
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.metrics import expected_calibration_error, kl_divergence
from emotrace.training.calibration import (
    FER2013_PRIOR,
    MIXTURE_WEIGHTS,
    PRIOR_POWERS,
    TrainingShares,
    Validation,
    calibrate,
    choose_prior_power,
    choose_weight,
    temper_prior,
    with_weights,
)
from emotrace.training.temperature import fit_temperature, fit_temperature_and_bias

UNIFORM = np.full(8, 1 / 8)


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return shares


def make_spec() -> BundleSpec:
    spec = BundleSpec(
        name="made",
        version="1",
        description="",
        labels=EMOTIONS,
        temporal="none",
        crop=CropGeometry(),
        input_name="faces",
        input_size_px=48,
        expression_outputs=(
            ExpressionOutput(name="a", labels=EMOTIONS, temperature=1, weights={}),
            ExpressionOutput(name="b", labels=FER2013_EMOTIONS, temperature=1, weights={}),
        ),
        face_output=None,
        valence_arousal_output=None,
        priors={},
        training_data="",
        licence="",
        model_sha256="",
    )
    return with_weights(spec, {"training": 1.0, "default": 1.0})


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_temperature_that_made_the_labels_is_found(temperature: float, skewed: bool) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (500, 8))
    log_prior = np.log(generator.dirichlet(np.ones(8)) if skewed else UNIFORM)
    shares = softmax(logits / temperature + log_prior)
    assert fit_temperature(logits, shares, log_prior) == pytest.approx(temperature, rel=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_and_bias_that_made_the_labels_are_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (3000, 8))
    bias = generator.normal(0, 0.5, 8)
    bias -= bias.mean()
    log_prior = np.log(generator.dirichlet(np.full(8, 3.0)))
    shares = softmax(logits / temperature + bias + log_prior)
    found, its_bias = fit_temperature_and_bias(logits, shares, log_prior)
    assert found == pytest.approx(temperature, rel=2e-3)
    np.testing.assert_allclose(its_bias, bias, atol=0.02)  # half a face for each class
    assert its_bias.mean() == pytest.approx(0, abs=1e-9)


def test_with_a_bias_every_class_is_predicted_as_often_as_it_occurs() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (2000, 8)) + np.linspace(-1, 1, 8)
    labels = (logits + generator.gumbel(size=logits.shape) - np.linspace(-1, 1, 8)).argmax(axis=1)
    truth = np.eye(8)[labels]
    temperature, bias = fit_temperature_and_bias(logits, truth, np.log(UNIFORM))
    found = softmax(logits / temperature + bias).mean(axis=0)
    np.testing.assert_allclose(found, truth.mean(axis=0), atol=1e-3)
    assert bias[0] > 0.8 > -0.8 > bias[-1]


def test_a_class_that_does_not_occur_is_not_ruled_out() -> None:
    logits = np.random.default_rng(2).normal(0, 1, (100, 8))
    labels = logits[:, :7].argmax(axis=1)
    _, bias = fit_temperature_and_bias(logits, np.eye(8)[labels], np.log(UNIFORM))
    assert -12 < bias[7] < min(bias[:7])


def test_a_temperature_stays_within_its_range() -> None:
    logits = np.random.default_rng(0).normal(0, 1, (50, 8))
    sure = np.eye(8)[logits.argmax(axis=1)]
    assert fit_temperature(logits, sure, np.log(UNIFORM)) == pytest.approx(0.3, rel=1e-3)
    unsure = np.full((50, 8), 1 / 8)
    assert fit_temperature(logits, unsure, np.log(UNIFORM)) == pytest.approx(3.0, rel=1e-3)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_tempered_prior_lies_between_itself_and_the_uniform_one(seed: int, power: float) -> None:
    prior = np.random.default_rng(seed).dirichlet(np.full(8, 0.5)) + 1e-6
    prior /= prior.sum()
    tempered = temper_prior(prior, power)
    assert tempered.sum() == pytest.approx(1)
    np.testing.assert_allclose(temper_prior(prior, 1), prior)
    np.testing.assert_allclose(temper_prior(prior, 0), UNIFORM)
    assert prior.max() + 1e-9 >= tempered.max() >= 1 / 8 - 1e-9
    order = np.argsort(prior)
    assert (np.diff(tempered[order]) >= -1e-12).all()


def make_validation(votes: np.ndarray, logits: dict[str, np.ndarray]) -> Validation:
    return Validation(
        logits={name: value.astype(np.float32) for name, value in logits.items()},
        vote_shares=votes.astype(np.float32),
        cast_shares=votes.astype(np.float32),
        majority=np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1),
        argmax=votes.argmax(axis=1),
        fer2013=np.full(len(votes), -1),
    )


@pytest.mark.parametrize("weight", MIXTURE_WEIGHTS)
def test_the_weight_that_made_the_votes_is_chosen(weight: float) -> None:
    generator = np.random.default_rng(1)
    first, second = generator.normal(0, 2, (300, 8)), generator.normal(0, 2, (300, 7))
    a = softmax(first)
    contempt = EMOTIONS.index("contempt")
    b = np.zeros_like(a)
    others = [at for at in range(8) if at != contempt]
    b[:, contempt] = a[:, contempt]
    b[:, others] = softmax(second) * (1 - a[:, [contempt]])
    votes = weight * a + (1 - weight) * b
    votes[0] = 0  # a face without a vote is left out
    data = make_validation(votes, {"a": first, "b": second})
    assert choose_weight(make_spec(), data, UNIFORM) == weight


def test_weights_of_both_outputs_sum_to_one_and_keep_the_others() -> None:
    spec = with_weights(make_spec(), {"default": 0.25})
    first, second = spec.expression_outputs
    assert first.weights == {"training": 1.0, "default": 0.25}
    assert second.weights == {"training": 0.0, "default": 0.75}


def test_the_power_with_the_largest_mean_of_accuracy_and_recall_is_chosen() -> None:
    """Rare faces are found at power 0 only; common ones at all powers."""
    prior = np.full(8, 0.02)
    prior[5] = 0.86
    common, rare = 5, 2
    logits = np.full((20, 8), -9.0)
    logits[:, common] = 0.0
    logits[:10, common] = 3.0  # ten common faces, clearly
    logits[10:, rare] = 0.3  # ten rare ones, just about
    truth = np.eye(8)[[common] * 10 + [rare] * 10]
    data = make_validation(truth, {"a": logits, "b": np.delete(logits, 1, axis=1)})
    power, rows = choose_prior_power(make_spec(), data, prior)
    assert power == 0
    assert [row["power"] for row in rows] == list(PRIOR_POWERS)
    assert rows[0] == {"power": 0, "accuracy": 1, "recall": 1}
    assert rows[-1] == {"power": 1, "accuracy": 0.5, "recall": 0.5}


def test_of_powers_that_are_nearly_as_good_the_most_balanced_one_is_chosen() -> None:
    """One face in 300 needs the training prior: too few to speak for it."""
    prior = np.full(8, 0.02)
    prior[5] = 0.86
    common, rare = 5, 2
    logits = np.full((600, 8), -9.0)
    logits[:300, common] = 5.0
    logits[300:, rare] = 9.0
    logits[0, rare] = 5.5
    truth = np.eye(8)[[common] * 300 + [rare] * 300]
    data = make_validation(truth, {"a": logits, "b": np.delete(logits, 1, axis=1)})
    power, rows = choose_prior_power(make_spec(), data, prior)
    assert rows[0]["accuracy"] < rows[5]["accuracy"] == 1
    assert power == 0


def test_faces_without_a_label_do_not_count_for_the_power() -> None:
    logits = np.eye(8)[[0, 1, 2]] * 5
    truth = np.eye(8)[[0, 1, 2]]
    truth[2] = 0
    data = make_validation(truth, {"a": logits, "b": np.delete(logits, 1, axis=1)})
    _, rows = choose_prior_power(make_spec(), data, UNIFORM)
    assert all(row["accuracy"] == 1 for row in rows)


def test_the_power_of_fer2013s_prior_is_judged_by_its_own_labels() -> None:
    """FER+ would have it uniform; FER2013's labels would not."""
    prior = np.array([0.02, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02])
    neutral, fear = EMOTIONS.index("neutral"), EMOTIONS.index("fear")
    seven = {name: at for at, name in enumerate(FER2013_EMOTIONS)}
    second = np.full((10, 7), -9.0)
    second[:, seven["neutral"]], second[:, seven["fear"]] = 0.0, 0.3
    data = make_validation(np.eye(8)[[fear] * 10], {"a": np.zeros((10, 8)), "b": second})
    data = dataclasses.replace(data, fer2013=np.full(10, neutral))
    spec = with_weights(make_spec(), {FER2013_PRIOR: 0.0})
    power, rows = choose_prior_power(spec, data, prior, name=FER2013_PRIOR)
    assert power > 0
    assert rows[0] == {"power": 0, "accuracy": 0, "recall": 0}
    assert rows[-1] == {"power": 1, "accuracy": 1, "recall": 1}


def test_fer2013s_prior_does_not_lean_to_balance() -> None:
    """One face in 300 needs the training prior, and on FER2013's own faces that decides."""
    prior = np.array([0.02, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02])
    common, rare = FER2013_EMOTIONS.index("neutral"), FER2013_EMOTIONS.index("fear")
    second = np.full((600, 7), -9.0)
    second[:300, common] = 5.0
    second[300:, rare] = 9.0
    second[0, rare] = 5.5
    labels = np.repeat([EMOTIONS.index("neutral"), EMOTIONS.index("fear")], 300)
    data = make_validation(np.eye(8)[labels], {"a": np.zeros((600, 8)), "b": second})
    data = dataclasses.replace(data, fer2013=labels)
    spec = with_weights(make_spec(), {FER2013_PRIOR: 0.0})
    power, rows = choose_prior_power(spec, data, prior, name=FER2013_PRIOR)
    best = max(rows, key=lambda row: row["accuracy"] + row["recall"])
    assert 0 < power == best["power"]


def make_faces(count: int = 4000) -> tuple[Validation, TrainingShares]:
    """Ten annotators who vote by what the picture shows; a network that sees part of it.

    Votes are drawn from softmax(z + log prior), so that shares are softer than the top vote.
    """
    generator = np.random.default_rng(3)
    prior = np.array([0.1, 0.02, 0.02, 0.05, 0.25, 0.3, 0.14, 0.12])
    first = generator.normal(0, 2, (count, 8))
    shares = softmax(first + np.log(prior))
    votes = np.stack([generator.multinomial(10, row) for row in shares]) / 10
    others = [at for at in range(8) if EMOTIONS[at] != "contempt"]
    labels = np.array([others[at] for at in (first + np.log(prior))[:, others].argmax(axis=1)])
    seen = 2 * (first + generator.normal(0, 0.7, (count, 8)))  # and is too sure of what it sees
    second = first[:, others] + generator.normal(0, 1, (count, 7))
    data = make_validation(votes, {"a": seen, "b": second})
    data = dataclasses.replace(data, fer2013=np.where(np.arange(count) % 10 == 0, -1, labels))
    return data, TrainingShares(ferplus=prior, fer2013=prior[others] / prior[others].sum())


def predict(spec: BundleSpec, data: Validation, name: str) -> np.ndarray:
    prior = np.array(spec.priors.get(name, tuple(UNIFORM)))
    return mix_expressions(spec, data.logits, np.log(np.maximum(prior, 1e-9)), name)


@pytest.fixture(scope="module")
def calibrated() -> tuple[BundleSpec, dict[str, Any], Validation]:
    data, shares = make_faces()
    spec, found = calibrate(make_spec(), data, shares)
    return spec, found, data


def test_confidence_becomes_the_chance_that_most_annotators_agree(
    calibrated: tuple[BundleSpec, dict[str, Any], Validation],
) -> None:
    spec, found, data = calibrated
    assert 2 < spec.expression_outputs[0].temperature < 3  # undoes the excess
    for name in ("training", "default", "uniform"):
        before = predict(dataclasses.replace(spec, temperatures={}), data, name)
        after = predict(spec, data, name)
        np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
        errors = [expected_calibration_error(data.argmax, p) for p in (before, after)]
        assert errors[1] < min(0.04, 0.8 * errors[0])
        assert found["temperatures"][name]["calibration_error"] == pytest.approx(errors[1])
        assert found["temperatures"][name]["calibration_error_before"] == pytest.approx(errors[0])
        assert spec.temperatures[name] < 1  # surer than the shares of the votes
    assert spec.temperatures["custom"] == spec.temperatures["default"]


def test_everything_that_is_chosen_is_stated(
    calibrated: tuple[BundleSpec, dict[str, Any], Validation],
) -> None:
    spec, found, data = calibrated
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    means = {row["power"]: row["accuracy"] / 2 + row["recall"] / 2 for row in found["prior_sweep"]}
    chosen = min(power for power, mean in means.items() if mean >= max(means.values()) - 0.005)
    np.testing.assert_allclose(
        spec.priors["default"], temper_prior(np.array(spec.priors["training"]), chosen)
    )
    first, second = spec.expression_outputs
    for name in ("default", "uniform", "custom"):
        assert (first.weights[name], second.weights[name]) == (0.5, 0.5)
    assert (first.weights[FER2013_PRIOR], second.weights[FER2013_PRIOR]) == (0, 1)
    kept = found["uncertain"]
    assert spec.uncertain_threshold == kept["threshold"]
    sure = predict(spec, data, "default")
    sure_enough = sure.max(axis=1) >= kept["threshold"]
    hits = sure.argmax(axis=1) == data.argmax
    assert kept["coverage"] == pytest.approx(sure_enough.mean())
    assert kept["accuracy"] == pytest.approx(hits[sure_enough].mean())
    assert 0.4 < kept["threshold"] < 0.6  # calibrated: wrong as often as right
    assert kept["accuracy_of_dropped"] < 0.5
    above = sure.max(axis=1) >= found["sure"]["threshold"]
    below = sure.max(axis=1) >= found["sure"]["threshold"] - 0.01
    assert hits[above].mean() >= 0.9 > hits[below].mean()


def test_under_the_prior_votes_the_probabilities_are_the_shares_of_all_votes() -> None:
    """Annotators who err at random now and then, and a network that learnt without those votes."""
    data, shares = make_faces()
    cast = 0.8 * softmax(data.logits["a"] / 3.0 + np.linspace(-0.4, 0.4, 8)) + 0.2 / 8
    data = dataclasses.replace(data, cast_shares=cast.astype(np.float32))
    spec, found = calibrate(make_spec(), data, shares)
    said = predict(spec, data, VOTES_PRIOR)
    np.testing.assert_allclose(said.mean(axis=0), cast.mean(axis=0), atol=1e-3)
    apart = {name: kl_divergence(cast, predict(spec, data, name)) for name in spec.priors}
    assert apart[VOTES_PRIOR] < 0.05
    assert apart[VOTES_PRIOR] < 0.5 * min(v for name, v in apart.items() if name != VOTES_PRIOR)
    first, second = spec.expression_outputs
    assert (first.weights[VOTES_PRIOR], second.weights[VOTES_PRIOR]) == (1, 0)
    by_hand = data.logits["a"] / first.temperature + np.log(np.array(spec.priors[VOTES_PRIOR]))
    temperature = spec.temperatures[VOTES_PRIOR]
    assert temperature > 1.1  # the votes that err at random are softer
    np.testing.assert_allclose(said, softmax(by_hand / temperature), atol=1e-5)
    assert VOTES_PRIOR not in found["temperatures"]  # those make the confidence the chance to hit


def test_under_fer2013s_prior_its_output_answers_alone(
    calibrated: tuple[BundleSpec, dict[str, Any], Validation],
) -> None:
    spec, _, data = calibrated
    found = predict(spec, data, FER2013_PRIOR)
    assert found[:, EMOTIONS.index("contempt")].max() < 1e-5
    seven = [EMOTIONS.index(name) for name in FER2013_EMOTIONS]
    logits = data.logits["b"] / spec.expression_outputs[1].temperature
    log_prior = np.log(np.array(spec.priors[FER2013_PRIOR])[seven])
    expected = softmax((logits + log_prior) / spec.temperatures[FER2013_PRIOR])
    np.testing.assert_allclose(found[:, seven], expected, atol=1e-6)
    known = data.fer2013 >= 0
    assert (found.argmax(axis=1) == data.fer2013)[known].mean() > 0.6


def test_an_expression_that_is_never_shown_leaves_numbers(
    calibrated: tuple[BundleSpec, dict[str, Any], Validation],
) -> None:
    data, shares = make_faces(200)
    without = shares.ferplus.copy()
    without[EMOTIONS.index("disgust")] = 0
    spec, _ = calibrate(make_spec(), data, dataclasses.replace(shares, ferplus=without))
    for name in (*spec.priors, "uniform"):
        assert np.isfinite(predict(spec, data, name)).all()
