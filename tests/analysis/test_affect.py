from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from emotrace.analysis.affect import VALENCE_AROUSAL_NORMS, derive_valence_arousal
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS


def test_every_expression_has_a_norm_in_range() -> None:
    assert tuple(VALENCE_AROUSAL_NORMS) == EMOTIONS
    assert all(-1 <= value <= 1 for pair in VALENCE_AROUSAL_NORMS.values() for value in pair)


@pytest.mark.parametrize(
    ("emotion", "expected"),
    [
        ("anger", (-0.51, 0.59)),
        ("contempt", (-0.2875, 0.07)),
        ("disgust", (-0.60, 0.35)),
        ("fear", (-0.64, 0.60)),
        ("happiness", (0.81, 0.51)),
        ("neutral", (0.0, 0.0)),
        ("sadness", (-0.63, -0.27)),
        ("surprise", (0.40, 0.67)),
    ],
)
def test_a_certain_expression_gives_its_published_rating(
    emotion: str, expected: tuple[float, float]
) -> None:
    certain = np.eye(8, dtype=np.float32)[[EMOTIONS.index(emotion)]]
    assert derive_valence_arousal(certain)[0] == pytest.approx(expected, abs=1e-6)


def test_a_mixture_is_the_expectation() -> None:
    mixed = np.zeros((1, 8))
    mixed[0, EMOTIONS.index("happiness")] = 0.25
    mixed[0, EMOTIONS.index("sadness")] = 0.75
    expected = (0.25 * 0.81 - 0.75 * 0.63, 0.25 * 0.51 - 0.75 * 0.27)
    assert derive_valence_arousal(mixed)[0] == pytest.approx(expected, abs=1e-6)


@given(npst.arrays(np.float64, (5, 8), elements=st.floats(0.0, 1.0)))
def test_stays_within_the_norms(weights: np.ndarray) -> None:
    probabilities = (weights + 1e-6) / (weights + 1e-6).sum(axis=1, keepdims=True)
    norms = np.array(list(VALENCE_AROUSAL_NORMS.values()))
    result = derive_valence_arousal(probabilities)
    assert result.shape == (5, 2)
    assert result.dtype == np.float32
    assert (result >= norms.min(axis=0) - 1e-6).all()
    assert (result <= norms.max(axis=0) + 1e-6).all()


@pytest.mark.parametrize("shape", [(8,), (3, 7), (2, 3, 8)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"expected probabilities of shape \(n, 8\)"):
        derive_valence_arousal(np.zeros(shape))
