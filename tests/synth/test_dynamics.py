from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.synth.dynamics import DYNAMICS, Dynamics, Wander, expression_share, shown_state

COUNTS = st.integers(1, 500)


@given(count=COUNTS, dynamics=st.sampled_from(DYNAMICS))
def test_every_state_is_shown_exactly_once(count: int, dynamics: Dynamics) -> None:
    shown = [shown_state(dynamics, index, count) for index in range(count)]
    assert sorted(shown) == list(range(count))


@given(count=COUNTS)
def test_offset_is_onset_backwards(count: int) -> None:
    onset = [shown_state("onset", index, count) for index in range(count)]
    offset = [shown_state("offset", index, count) for index in range(count)]
    assert offset == onset[::-1]
    shares = {
        name: [expression_share(name, state, count) for state in range(count)]
        for name in ("onset", "offset")
    }
    assert shares["onset"] == shares["offset"]


@given(count=st.integers(20, 500))
def test_fast_rises_and_falls_at_least_three_times(count: int) -> None:
    def peaks(dynamics: Dynamics) -> int:
        shares = [
            expression_share(dynamics, shown_state(dynamics, index, count), count)
            for index in range(count)
        ]
        high = np.array(shares) > 0.5
        return int(np.count_nonzero(high[1:] & ~high[:-1]))

    assert peaks("slow") == 1
    assert peaks("fast") >= 3


@given(count=COUNTS, dynamics=st.sampled_from(DYNAMICS), pulses=st.integers(1, 5))
def test_shares_are_bounded(count: int, dynamics: Dynamics, pulses: int) -> None:
    for state in range(count):
        assert 0 <= expression_share(dynamics, state, count, pulses=pulses) <= 1


def test_onset_never_falls_and_goes_from_nothing_to_all() -> None:
    shares = [expression_share("onset", state, 40) for state in range(40)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert np.all(np.diff(shares) >= 0)


def test_a_pulse_rises_faster_than_it_falls() -> None:
    shares = np.array([expression_share("pulse", state, 200) for state in range(200)])
    rising, falling = np.diff(shares) > 0, np.diff(shares) < 0
    assert 0 < rising.sum() < falling.sum()
    assert shares[0] == 0
    assert shares.max() == 1


@given(seed=st.integers(0, 1000), count=st.integers(2, 400), pace=st.floats(0.05, 1))
def test_a_wander_is_bounded_and_closes(seed: int, count: int, pace: float) -> None:
    wander = Wander(np.random.default_rng(seed), count=count, frame_rate=25, pace_hz=pace)
    values = [wander.at(state) for state in range(count)]
    assert max(map(abs, values)) <= 1
    assert wander.at(count) == pytest.approx(values[0], abs=1e-9)


def test_a_wander_moves() -> None:
    wander = Wander(np.random.default_rng(1), count=500, frame_rate=25, pace_hz=0.15)
    values = [wander.at(state) for state in range(500)]
    assert np.ptp(values) > 0.5
    assert np.abs(np.diff(values)).max() < 0.1
