from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.analysis.affect import VALENCE_AROUSAL_NORMS
from emotrace.labels import EMOTIONS
from emotrace.synth.affect import EXPRESSION_POLES, AffectTrajectory, blend_weights
from emotrace.synth.clips import ClipSettings, make_clip
from emotrace.synth.performance import Performance, PerformanceSettings

NO_TASTE = dict.fromkeys(EMOTIONS, 0.0)


def test_poles_are_the_norms_of_the_analysis() -> None:
    assert set(EXPRESSION_POLES) == set(VALENCE_AROUSAL_NORMS)
    for name, pole in VALENCE_AROUSAL_NORMS.items():
        assert EXPRESSION_POLES[name] == pytest.approx(pole)


@given(valence=st.floats(-1, 1), arousal=st.floats(-1, 1))
def test_weights_sum_to_one(valence: float, arousal: float) -> None:
    weights = blend_weights(valence, arousal, NO_TASTE)
    assert sum(weights.values()) == pytest.approx(1)
    assert tuple(weights) == EMOTIONS


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_each_pole_brings_out_its_own_expression_most(emotion: str) -> None:
    weights = blend_weights(*EXPRESSION_POLES[emotion], NO_TASTE)
    rivals = [weight for name, weight in weights.items() if name != emotion]
    assert weights[emotion] >= max(rivals) * 0.999


@given(seed=st.integers(0, 10_000))
def test_trajectories_are_bounded_and_smooth(seed: int) -> None:
    trajectory = AffectTrajectory(np.random.default_rng(seed), count=300, frame_rate=25)
    path = [trajectory.at(state) for state in range(300)]
    for affect in path:
        assert -1 <= affect.valence <= 1
        assert -1 <= affect.arousal <= 1
        assert 0 <= affect.intensity <= 1
        assert affect.emotion in EMOTIONS
        assert all(0 <= value <= 1 for value in affect.units.values())
    steps = np.abs(np.diff([(affect.valence, affect.arousal) for affect in path], axis=0))
    assert steps.max() < 0.15


def test_the_face_follows_valence_and_arousal() -> None:
    rows = []
    for seed in range(12):
        trajectory = AffectTrajectory(np.random.default_rng(seed), count=1000, frame_rate=25)
        for state in range(0, 1000, 10):
            affect = trajectory.at(state)
            smile, eyes = affect.units.get(12, 0.0), affect.units.get(5, 0.0)
            frown = affect.units.get(4, 0.0) + affect.units.get(15, 0.0) + affect.units.get(9, 0.0)
            rows.append((affect.valence, affect.arousal, smile - frown, eyes))
    valence, arousal, pleasantness, eyes = np.array(rows).T
    assert np.corrcoef(valence, pleasantness)[0, 1] > 0.6
    assert np.corrcoef(arousal, eyes)[0, 1] > 0.3


def test_truth_of_an_emotion_clip_moves_towards_the_pole() -> None:
    clip = make_clip(ClipSettings(clip_id="a", subject=2, emotion="sadness", frame_count=30))
    faces = [frame.faces[0] for frame in clip.frames()]
    peak = max(faces, key=lambda face: face.intensity)
    assert (peak.valence, peak.arousal) == pytest.approx(EXPRESSION_POLES["sadness"])
    for face in faces:
        assert face.valence == pytest.approx(face.intensity * EXPRESSION_POLES["sadness"][0])
        assert face.emotion == ("sadness" if face.intensity >= 0.3 else "neutral")


def test_people_blink_unless_the_picture_is_a_still() -> None:
    def blinks(count: int) -> list[float]:
        settings = PerformanceSettings(
            emotion="neutral",
            dynamics="hold",
            count=count,
            frame_rate=25,
            peak=1,
            pulses=1,
            turn_degrees=10,
        )
        performance = Performance(settings, (0, 0, 1))
        return [performance.at(state).face.units[45] for state in range(count)]

    video = np.array(blinks(250))
    assert 2 <= np.count_nonzero((video[1:] > 0) & (video[:-1] == 0)) <= 4
    assert video.max() > 0.6
    assert blinks(1) == [0.0]
