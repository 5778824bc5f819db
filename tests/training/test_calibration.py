"""What is fitted on validation, on data of which the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.bundle_spec import BundleSpec, ExpressionOutput
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.training.calibration import (
    MIXTURE_WEIGHTS,
    PRIOR_POWERS,
    Validation,
    choose_prior_power,
    choose_weight,
    fit_temperature,
    temper_prior,
    with_weights,
)

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
        majority=np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1),
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


def test_faces_without_a_label_do_not_count_for_the_power() -> None:
    logits = np.eye(8)[[0, 1, 2]] * 5
    truth = np.eye(8)[[0, 1, 2]]
    truth[2] = 0
    data = make_validation(truth, {"a": logits, "b": np.delete(logits, 1, axis=1)})
    _, rows = choose_prior_power(make_spec(), data, UNIFORM)
    assert all(row["accuracy"] == 1 for row in rows)
