"""Memory of a face, frame by frame: answers worked out by hand, and what it must not depend on."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.analysis.pipeline import analyze_video
from emotrace.analysis.settings import AnalysisSettings
from emotrace.analysis.temporal import TrackPredictor, rate_notice
from emotrace.bundle import Bundle, load_bundle
from emotrace.errors import UsageError
from emotrace.timeline import InputFacts
from tests.analysis.media import write_clip
from tests.analysis.test_pipeline import BoxDetector
from tests.temporal_bundles import (
    KEEP,
    brightness_of,
    expected_outputs,
    flat_crop,
    recurrent_bundle,
    window_bundle,
    window_weights,
)

TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporal")


@pytest.fixture(scope="module")
def recurrent(made: Path) -> Bundle:
    return load_bundle(recurrent_bundle(made / "recurrent"))


@pytest.fixture(scope="module")
def recurrent_25(made: Path) -> Bundle:
    return load_bundle(recurrent_bundle(made / "recurrent-25", frame_seconds=0.04))


@pytest.fixture(scope="module")
def window(made: Path) -> Bundle:
    return load_bundle(window_bundle(made / "window"))


@pytest.fixture(scope="module")
def window_25(made: Path) -> Bundle:
    return load_bundle(window_bundle(made / "window-25", frame_seconds=0.04))


def run_levels(
    bundle: Bundle, levels: list[float], times: list[float] | None = None
) -> list[np.ndarray]:
    """The probabilities of one face with these levels of brightness, frame by frame."""
    predictor = TrackPredictor(bundle)
    return [
        predictor.step([flat_crop(level)], [1], time).probabilities[0]
        for level, time in zip(levels, times or [at * 0.04 for at in range(99)], strict=False)
    ]


def remembered(levels: list[float]) -> list[float]:
    """The recurrent model's state after each step."""
    states, state = [], 0.0
    for level in levels:
        state = KEEP * state + brightness_of(level)
        states.append(state)
    return states


def seen(levels: list[float]) -> float:
    """What the window model makes of the levels in its window, the oldest first."""
    return float(window_weights(len(levels)) @ [brightness_of(level) for level in levels])


def assert_says(got: np.ndarray, state: float) -> None:
    np.testing.assert_allclose(got, expected_outputs(state)[0], atol=TOLERANCE)


# --- memory --------------------------------------------------------------------------------------


def test_a_recurrent_model_goes_on_from_where_it_was(recurrent: Bundle) -> None:
    levels: list[float] = [10, 250, 80, 0, 200]
    for got, state in zip(run_levels(recurrent, levels), remembered(levels), strict=True):
        assert_says(got, state)


def test_valence_and_arousal_are_read_from_their_columns(recurrent: Bundle) -> None:
    said = TrackPredictor(recurrent).step([flat_crop(100)], [1], 0.0)
    assert said.valence_arousal is not None
    expected = expected_outputs(brightness_of(100))[1]
    np.testing.assert_allclose(said.valence_arousal[0], expected, atol=TOLERANCE)


def test_a_window_holds_the_last_crops_the_first_standing_for_the_time_before(
    window: Bundle,
) -> None:
    got = run_levels(window, [10, 250, 80, 0])
    for row, levels in zip(
        got, ([10, 10, 10], [10, 10, 250], [10, 250, 80], [250, 80, 0]), strict=True
    ):
        assert_says(row, seen([float(level) for level in levels]))


def test_a_window_may_leave_frames_out(made: Path) -> None:
    bundle = load_bundle(window_bundle(made / "window-steps", frames=2, frame_step=3))
    levels: list[float] = [10, 20, 30, 40, 50, 60]
    got = run_levels(bundle, levels)
    for at, row in enumerate(got):
        assert_says(row, seen([levels[max(at - 3, 0)], levels[at]]))


def test_faces_have_memories_of_their_own(recurrent: Bundle) -> None:
    """Two faces, one there from the second frame on, in another order each time."""
    predictor = TrackPredictor(recurrent)
    first: list[float] = [10, 250, 80]
    second: list[float] = [200, 30]
    predictor.step([flat_crop(first[0])], [7], 0.0)
    predictor.step([flat_crop(first[1]), flat_crop(second[0])], [7, 3], 0.04)
    said = predictor.step([flat_crop(second[1]), flat_crop(first[2])], [3, 7], 0.08)
    assert_says(said.probabilities[0], remembered(second)[-1])
    assert_says(said.probabilities[1], remembered(first)[-1])


@pytest.mark.parametrize("kind", ["recurrent", "window"])
def test_a_face_is_predicted_the_same_whoever_else_is_there(
    kind: str, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    generator = np.random.default_rng(3)
    levels = generator.integers(0, 256, (6, 4)).astype(float)
    together = TrackPredictor(bundle)
    rows = [
        together.step([flat_crop(level) for level in row], range(4), 0.04 * at).probabilities
        for at, row in enumerate(levels)
    ]
    for face in range(4):
        alone = run_levels(bundle, levels[:, face].tolist())
        for got, row in zip(alone, rows, strict=True):
            np.testing.assert_allclose(got, row[face], atol=TOLERANCE)


def test_a_bundle_without_memory_is_predicted_as_ever() -> None:
    bundle = load_bundle()
    crops = [np.full((60, 60, 3), level, np.uint8) for level in (20, 200)]
    said = TrackPredictor(bundle).step(crops, [1, 2], 0.0)
    np.testing.assert_array_equal(said.probabilities, bundle.predict_crops(crops))


# --- frame rates ---------------------------------------------------------------------------------


def test_frames_that_come_too_soon_are_predicted_but_leave_no_trace(recurrent_25: Bundle) -> None:
    """50 frames a second for a model of 25: every second frame is a step."""
    levels: list[float] = [10, 250, 80, 0, 200, 30]
    got = run_levels(recurrent_25, levels, [at / 50 for at in range(6)])
    state = 0.0
    for at, (row, level) in enumerate(zip(got, levels, strict=True)):
        now = KEEP * state + brightness_of(level)
        assert_says(row, now)
        state = now if at % 2 == 0 else state


@pytest.mark.parametrize("rate", [25.0, 24.0, 29.97, 30.0, 48.0, 59.94, 60.0, 240.0])
def test_steps_come_as_often_as_in_training_whatever_the_video(
    recurrent_25: Bundle, rate: float
) -> None:
    """With a state that grows by 1 a step, its size counts the steps."""
    predictor = TrackPredictor(recurrent_25)
    seconds = 4.0
    steps, before = 0, None
    for at in range(round(seconds * rate)):
        predictor.step([flat_crop(255)], [1], at / rate)
        state = predictor._tracks[1].states[0].item()
        steps += state != before
        before = state if abs(state - 2) > 1e-4 else -1.0  # it converges to 2 and stands still
        if before == -1.0:
            predictor._tracks[1].states = (np.zeros(1, np.float32),)
            before = 0.0
    assert steps == pytest.approx(min(seconds / 0.04, seconds * rate), abs=1)


def test_a_step_is_taken_at_the_frame_nearest_to_its_time(recurrent_25: Bundle) -> None:
    """60 frames a second: steps at 0, 40, 80, 120 ms are frames 0, 2, 5, 7."""
    predictor = TrackPredictor(recurrent_25)
    taken = []
    for at in range(8):
        before = predictor._tracks[1].states[0].item() if at else None
        predictor.step([flat_crop(10 + 20 * at)], [1], at / 60)
        if predictor._tracks[1].states[0].item() != before:
            taken.append(at)
    assert taken == [0, 2, 5, 7]


def test_a_shaky_clock_loses_no_step(recurrent_25: Bundle) -> None:
    generator = np.random.default_rng(0)
    times = (np.arange(50) * 0.04 + generator.uniform(-0.004, 0.004, 50)).tolist()
    levels = generator.integers(0, 256, 50).astype(float).tolist()
    for got, state in zip(run_levels(recurrent_25, levels, times), remembered(levels), strict=True):
        assert_says(got, state)


@pytest.mark.parametrize("rate", [10.0, 25.0, 30.0, 50.0, 60.0])
def test_a_window_takes_the_crops_nearest_to_its_times(window_25: Bundle, rate: float) -> None:
    times = [at / rate for at in range(30)]
    levels = np.random.default_rng(1).integers(0, 256, 30).astype(float).tolist()
    for at, row in enumerate(run_levels(window_25, levels, times)):
        so_far = np.array(times[: at + 1])
        chosen = [np.abs(so_far - (times[at] - back)).argmin() for back in (0.08, 0.04, 0.0)]
        assert_says(row, seen([levels[k] for k in chosen]))


def test_a_window_keeps_no_more_crops_than_it_may_need(window_25: Bundle, window: Bundle) -> None:
    for bundle, most in ((window_25, 2 * 0.04 * 60 + 2), (window, 3)):
        predictor = TrackPredictor(bundle)
        for at in range(100):
            predictor.step([flat_crop(at)], [1], at / 60)
            assert len(predictor._tracks[1].crops) <= most


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (10.0, "10.0 frames a second; the bundle made takes steps of 25.0 a second.* 2.5 times"),
        (25.0, None),
        (60.0, None),
        (24.0, None),
        (None, None),
    ],
)
def test_a_video_that_is_too_slow_is_said(
    recurrent_25: Bundle, recurrent: Bundle, window_25: Bundle, rate: float | None, told: str | None
) -> None:
    facts = InputFacts(
        path="a.mp4",
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=8,
        height=8,
        rotation_degrees=0,
        header_frame_count=None,
        frame_count=9,
        duration_seconds=1.0,
        is_still_image=False,
        has_variable_frame_rate=False,
        has_audio=False,
        mean_frames_per_second=rate,
    )
    notice = rate_notice(recurrent_25.spec, facts)
    if told is None:
        assert notice is None
    else:
        assert notice is not None
        assert re.search(told, notice)
    assert rate_notice(recurrent.spec, facts) is None
    assert rate_notice(window_25.spec, facts) is None


# --- forgetting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("away", "is_kept"), [(12, True), (13, False)])
def test_a_face_that_was_away_for_too_long_starts_afresh(
    recurrent: Bundle, away: int, is_kept: bool
) -> None:
    """At 25 frames a second half a second is 12.5 frames."""
    predictor = TrackPredictor(recurrent)
    predictor.step([flat_crop(200)], [1], 0.0)
    for at in range(1, away + 1):
        predictor.step([], [], 0.04 * at)
    said = predictor.step([flat_crop(10)], [1], 0.04 * (away + 1))
    state = remembered([200, 10])[-1] if is_kept else brightness_of(10)
    assert_says(said.probabilities[0], state)


def test_few_frames_a_second_are_no_absence(recurrent: Bundle) -> None:
    levels: list[float] = [10, 250, 80]
    got = run_levels(recurrent, levels, [0.0, 2.0, 4.0])
    assert_says(got[-1], remembered(levels)[-1])


@pytest.mark.parametrize("kind", ["recurrent", "window"])
def test_nothing_is_remembered_across_a_shot_cut_or_a_start(
    kind: str, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    predictor = TrackPredictor(bundle)
    fresh = predictor.step([flat_crop(90)], [1], 0.0).probabilities
    predictor.step([flat_crop(255)], [1], 0.04)
    after_cut = predictor.step([flat_crop(90)], [1], 0.08, is_cut=True).probabilities
    predictor.start()
    after_start = predictor.step([flat_crop(90)], [1], 0.0).probabilities
    np.testing.assert_array_equal(after_cut, fresh)
    np.testing.assert_array_equal(after_start, fresh)


@settings(max_examples=25)
@given(st.lists(st.sets(st.integers(1, 40), max_size=3), min_size=1, max_size=60))
def test_only_faces_of_the_last_half_second_are_remembered(
    recurrent: Bundle, frames: list[set[int]]
) -> None:
    predictor = TrackPredictor(recurrent)
    for at, ids in enumerate(frames):
        predictor.step([flat_crop(50) for _ in ids], sorted(ids), 0.125 * at)
        # Away since at most 0.5 s: the first of 5 frames without it, or fewer.
        assert set(predictor.face_ids) == set().union(*frames[max(at - 5, 0) : at + 1])


# --- wrong use -----------------------------------------------------------------------------------


def test_wrong_calls_say_what_is_wrong(recurrent: Bundle) -> None:
    predictor = TrackPredictor(recurrent)
    crop = flat_crop(10)
    with pytest.raises(UsageError, match=r"a face_id of its own for each of 1 crops; got \[1, 2\]"):
        predictor.step([crop], [1, 2], 0.0)
    with pytest.raises(UsageError, match=r"for each of 2 crops; got \[1, 1\]"):
        predictor.step([crop, crop], [1, 1], 0.0)
    predictor.step([crop], [1], 1.0)
    with pytest.raises(UsageError, match=r"a time after 1.0 s; got 1.0 s; call start\(\)"):
        predictor.step([crop], [1], 1.0)
    with pytest.raises(UsageError, match=r"expected crop 0 to be \(height, width, 3\)"):
        predictor.step([crop[0]], [1], 2.0)
    with pytest.raises(UsageError, match="max_gap_seconds of at least 0; got -1"):
        TrackPredictor(recurrent, max_gap_seconds=-1)


def test_a_crop_by_itself_is_refused_with_the_way_to_do_it(recurrent: Bundle) -> None:
    with pytest.raises(UsageError, match=r"made is 'recurrent' in time: .*TrackPredictor"):
        recurrent.predict_crops([flat_crop(1)])
    with pytest.raises(UsageError, match=r"expected 1 states .* got 0"):
        recurrent.score_pixels(np.zeros((1, 1, 8, 8), np.float32))


# --- the pipeline --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["recurrent", "window_25"])
def test_the_pipeline_gives_the_same_for_any_batch_size_and_thread_count(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind).folder
    clip = write_clip(tmp_path / "clip.mp4", frames=15)
    boxes = ((10.0, 10.0, 40.0, 50.0), (80.0, 30.0, 50.0, 60.0))

    def analyze(*, threads: int, batch_size: int) -> object:
        settings = AnalysisSettings(threads=threads, batch_size=batch_size)
        return analyze_video(
            clip, detector=BoxDetector(*boxes), bundle=folder, settings=settings
        ).table

    expected = analyze(threads=2, batch_size=16)
    for threads, batch_size in ((1, 1), (1, 7), (3, 64)):
        assert analyze(threads=threads, batch_size=batch_size) == expected


def test_the_pipeline_forgets_at_a_shot_cut(recurrent: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    dark, light = np.full((64, 96, 3), 60, np.uint8), np.full((64, 96, 3), 255, np.uint8)
    dark[:, ::8], light[::8] = 20, 160
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "gray"
        for picture in [dark] * 20 + [light] * 20:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    timeline = analyze_video(path, detector=BoxDetector((0, 0, 48, 48)), bundle=recurrent)
    (cut_seconds,) = timeline.summary["shot_cuts_seconds"]
    surprise = timeline.to_pandas()["surprise"].to_numpy()
    at = round(cut_seconds * 25)
    assert 20 <= at < 30  # the search for cuts makes sure of itself for some frames
    brightness = float(light[:48, :48].mean()) / 255
    assert surprise[at] == pytest.approx(expected_outputs(brightness)[0][-1], abs=0.02)
    # With a memory of at least one frame before it:
    not_forgotten = expected_outputs(brightness + KEEP * brightness)[0][-1]
    assert not_forgotten - surprise[at] > 0.04
