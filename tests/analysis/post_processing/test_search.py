"""The search against a plain one that tries everything, and on data with known faults."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from emotrace.analysis.post_processing import ChainSettings, PostProcessing, fit_chain
from emotrace.errors import UsageError
from emotrace.metrics import concordance_correlation, paired_moments
from tests.analysis.post_processing.recordings import RATE_HZ, Recordings, make_recordings

ndimage = pytest.importorskip("scipy.ndimage")

SHORT = ChainSettings(median_seconds=(0.04, 1.5), shift_seconds=(0.04, 1.5))


def criterion(settings: ChainSettings, data: Recordings, values: np.ndarray) -> float:
    known = ~np.isnan(data.truth)
    if settings.criterion == "whole_set":
        return concordance_correlation(data.truth[known], values[known])
    each = paired_moments(data.truth[known], values[known], data.groups[known])
    return float(each.concordance().mean())


def plain_search(data: Recordings, settings: ChainSettings) -> dict[str, float | None]:
    """tzirakis2021's section 5.2 word by word, with scipy's filter and no sums."""
    names = np.unique(data.groups)
    known = ~np.isnan(data.truth)
    values = data.predictions.copy()
    kept: dict[str, float | None] = dict.fromkeys(("median", "bias", "scale", "shift"))

    def each(change: Any) -> np.ndarray:
        found = np.empty_like(values)
        for name in names:
            rows = data.groups == name
            found[rows] = change(values[rows])
        return found

    def keep(name: str, candidates: list[tuple[float, np.ndarray]]) -> None:
        nonlocal values
        scores = [criterion(settings, data, found) for _, found in candidates]
        best = int(np.argmax(scores))
        if scores[best] > criterion(settings, data, values) + 1e-9:
            kept[name], values = candidates[best]

    filtered = [
        (size / RATE_HZ, each(lambda row, size=size: ndimage.median_filter(row, size)))
        for size in range(3, 38, 2)
    ]
    keep("median", filtered)
    bias = data.truth[known].mean() - values[known].mean()
    keep("bias", [(bias, values + bias)])
    mean = values[known].mean() if settings.scale_about == "mean" else 0.0
    scale = data.truth[known].std() / values[known].std()
    keep("scale", [(scale, mean + (values - mean) * scale)])
    shifted = [
        (k / RATE_HZ, each(lambda row, k=k: np.concatenate([np.full(k, row[0]), row[:-k]])))
        for k in range(1, 38)
    ]
    keep("shift", shifted)
    return kept


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("criterion_name", ["whole_set", "mean_per_group"])
@pytest.mark.parametrize("scale_about", ["mean", "zero"])
@pytest.mark.parametrize("share_unknown", [0.0, 0.3])
def test_the_search_equals_trying_everything(
    seed: int, criterion_name: Any, scale_about: Any, share_unknown: float
) -> None:
    data = make_recordings(seed=seed, frames=200, count=3)
    generator = np.random.default_rng(seed)
    data.truth[generator.random(len(data.truth)) < share_unknown] = np.nan
    settings = dataclasses.replace(SHORT, criterion=criterion_name, scale_about=scale_about)
    chain = fit_chain(*data, RATE_HZ, settings=settings)
    expected = plain_search(data, settings)
    found = {
        "median": chain.median_seconds,
        "bias": chain.bias,
        "scale": chain.scale,
        "shift": chain.shift_seconds,
    }
    assert found == {
        name: None if value is None else pytest.approx(value) for name, value in expected.items()
    }
    last = [step for step in chain.steps if step.is_kept][-1]
    processed = chain.apply(data.predictions, data.groups, rate_hz=RATE_HZ)
    assert last.ccc_with == pytest.approx(criterion(settings, data, processed))


def test_known_faults_are_found_and_mended_on_other_recordings() -> None:
    chain = fit_chain(*make_recordings(count=8, seed=0), RATE_HZ)
    assert [step.is_kept for step in chain.steps] == [True] * 4
    assert chain.shift_seconds == pytest.approx(20 / RATE_HZ, abs=2 / RATE_HZ)
    assert chain.bias == pytest.approx(-0.1, abs=0.02)
    test = make_recordings(count=8, seed=1)
    before = concordance_correlation(test.truth, test.predictions)
    processed = chain.apply(test.predictions, test.groups, rate_hz=RATE_HZ)
    after = concordance_correlation(test.truth, processed)
    assert before < 0.5
    assert after > 0.9


def test_each_step_starts_from_what_the_ones_before_it_reached() -> None:
    steps = fit_chain(*make_recordings(), RATE_HZ, settings=SHORT).steps
    assert [step.name for step in steps] == ["median filter", "centring", "scaling", "time shift"]
    reached = steps[0].ccc_before
    for step in steps:
        assert step.ccc_before == reached
        assert step.is_kept == (step.ccc_with > reached + 1e-9)
        reached = step.ccc_with if step.is_kept else reached


def test_a_perfect_prediction_is_left_alone() -> None:
    data = make_recordings()
    chain = fit_chain(data.truth, data.truth, data.groups, RATE_HZ, settings=SHORT)
    assert dataclasses.replace(chain, steps=()) == PostProcessing(rate_hz=RATE_HZ)
    assert not any(step.is_kept for step in chain.steps)


def test_a_constant_prediction_cannot_be_scaled() -> None:
    data = make_recordings()
    chain = fit_chain(data.truth, np.full(len(data.truth), 0.2), data.groups, RATE_HZ)
    scaling = chain.steps[2]
    assert (scaling.name, scaling.is_kept, scaling.value) == ("scaling", False, None)
    assert chain.scale is None


def test_the_papers_ranges_at_40_ms() -> None:
    # Windows of 3 to 499 samples, shifts of 1 to 250: nothing beyond is ever chosen.
    data = make_recordings(count=2, frames=900, lag=400, noise=0.0)
    chain = fit_chain(*data, RATE_HZ)
    assert chain.shift_seconds is not None
    assert 0.04 <= chain.shift_seconds <= 10.0
    narrow = ChainSettings(median_seconds=(0.04, 0.1), shift_seconds=None)
    fitted = fit_chain(*make_recordings(), RATE_HZ, settings=narrow)
    # 0.1 s at 25 Hz are 2.5 samples: no odd number above 1 fits.
    assert fitted.steps[0].value is None
    assert fitted.steps[3].value is None
    one = ChainSettings(median_seconds=(0.12, 0.12), shift_seconds=(0.8, 0.8))
    fitted = fit_chain(*make_recordings(), RATE_HZ, settings=one)
    assert (fitted.median_seconds, fitted.shift_seconds) == (0.12, 0.8)


def test_order_of_recordings_and_their_names_do_not_matter() -> None:
    data = make_recordings()
    names = np.array(["b", "d", "a", "c"])[data.groups]
    # Rows of the four recordings in turn: each recording's own rows stay in order.
    turn = np.arange(len(names)).reshape(4, -1).T.ravel()
    chain = fit_chain(*data, RATE_HZ, settings=SHORT)
    other = fit_chain(
        data.truth[turn], data.predictions[turn], names[turn], RATE_HZ, settings=SHORT
    )
    for name in ("median_seconds", "bias", "scale", "shift_seconds"):
        assert getattr(other, name) == pytest.approx(getattr(chain, name))


def test_what_cannot_be_fitted_is_refused() -> None:
    data = make_recordings(count=1, frames=50)
    with pytest.raises(UsageError, match=r"shape \(n,\); got \(50,\), \(50,\) and \(49,\)"):
        fit_chain(data.truth, data.predictions, data.groups[:-1], RATE_HZ)
    with pytest.raises(UsageError, match="at least 2 annotated rows to fit on; got 0"):
        fit_chain(data.truth * np.nan, data.predictions, data.groups, RATE_HZ)
    with pytest.raises(UsageError, match="expected a prediction in every row"):
        fit_chain(data.truth, data.truth * np.nan, data.groups, RATE_HZ)
    with pytest.raises(UsageError, match="expected a rate above 0"):
        fit_chain(*data, 0.0)


@pytest.mark.parametrize(
    "values",
    [
        {"median_seconds": (0.0, 1.0)},
        {"shift_seconds": (2.0, 1.0)},
        {"scale_about": "median"},
        {"criterion": "pearson"},
    ],
)
def test_settings_that_cannot_work(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        ChainSettings(**values)
