from __future__ import annotations

import hashlib
import itertools
import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotrace.errors import UsageError
from emotrace.synth.action_units import ACTION_UNITS
from emotrace.synth.camera import LIGHT_NAMES
from emotrace.synth.clips import ClipSettings, SceneSettings, make_clip, make_scene
from emotrace.synth.dynamics import DYNAMICS
from emotrace.synth.truth import SynthClip, SynthFrame

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTINGS = ClipSettings(
    clip_id="one", subject=12, emotion="happiness", frame_count=12, width=96, height=96
)
SCENE = SceneSettings(
    clip_id="many",
    subjects=(4, 9),
    emotions=("fear", None),
    frame_count=10,
    width=160,
    height=96,
    cuts=1,
)


def digests(frames: Iterable[SynthFrame]) -> list[str]:
    return [hashlib.sha256(frame.image_rgb.tobytes()).hexdigest() for frame in frames]


def truths(frames: Iterable[SynthFrame]) -> list[Any]:
    return [
        [
            (f.face_id, f.box_xywh_px, f.emotion, f.valence, tuple(f.action_units.items()))
            for f in frame.faces
        ]
        for frame in frames
    ]


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_the_same_settings_give_the_same_bytes(dynamics: Any) -> None:
    settings = replace(SETTINGS, dynamics=dynamics)
    clip = make_clip(settings)
    first = list(clip.frames())
    assert digests(first) == digests(clip.frames()) == digests(make_clip(settings).frames())
    assert truths(first) == truths(clip.frames())


def test_the_same_scene_gives_the_same_bytes() -> None:
    clip = make_scene(SCENE)
    frames = list(clip.frames())
    assert digests(frames) == digests(make_scene(SCENE).frames())
    assert truths(frames) == truths(clip.frames())


def test_two_clips_at_once_do_not_disturb_each_other() -> None:
    alone = digests(make_clip(SETTINGS).frames())
    other = make_clip(replace(SETTINGS, emotion="fear", seed=5))
    together = [one for one, _ in zip(make_clip(SETTINGS).frames(), other.frames(), strict=True)]
    assert digests(together) == alone


@pytest.mark.parametrize("change", [{"seed": 1}, {"subject": 13}, {"population": 2}])
def test_another_number_gives_another_clip(change: dict[str, int]) -> None:
    other = replace(SETTINGS, **change)  # type: ignore[arg-type]
    assert not set(digests(make_clip(SETTINGS).frames())) & set(digests(make_clip(other).frames()))


def test_offset_is_onset_backwards_picture_by_picture() -> None:
    onset = digests(make_clip(replace(SETTINGS, dynamics="onset")).frames())
    offset = digests(make_clip(replace(SETTINGS, dynamics="offset")).frames())
    assert offset == onset[::-1]
    assert Counter(offset) == Counter(onset)
    assert offset != onset


@pytest.mark.parametrize("count", [12, 25, 30])
def test_fast_and_slow_have_the_same_pictures(count: int) -> None:
    slow = digests(make_clip(replace(SETTINGS, dynamics="slow", frame_count=count)).frames())
    fast = digests(make_clip(replace(SETTINGS, dynamics="fast", frame_count=count)).frames())
    assert Counter(slow) == Counter(fast)
    assert len(set(slow)) == count
    assert slow != fast


def test_facts_of_a_clip_are_those_of_its_frames() -> None:
    clip = make_clip(replace(SETTINGS, frame_rate=12.5, width=120))
    frames = list(clip.frames())
    assert len(frames) == clip.frame_count == 12
    assert clip.duration_seconds == pytest.approx(0.96)
    for index, frame in enumerate(frames):
        assert frame.index == index
        assert frame.timestamp_seconds == pytest.approx(index * 0.08)
        assert frame.image_rgb.shape == (clip.height, clip.width, 3) == (96, 120, 3)
        assert frame.image_rgb.dtype == np.uint8
        (face,) = frame.faces
        assert face.subject == clip.subject == "S012"
        assert set(face.action_units) == set(ACTION_UNITS)
        assert not frame.is_cut


def test_an_onset_ends_at_its_apex() -> None:
    settings = replace(SETTINGS, dynamics="onset", intensity=0.8, frame_count=20)
    faces = [frame.faces[0] for frame in make_clip(settings).frames()]
    assert faces[0].intensity == 0
    assert faces[0].emotion == "neutral"
    assert faces[-1].intensity == pytest.approx(0.8)
    assert faces[-1].emotion == "happiness"
    smile = [face.action_units[12] for face in faces]
    assert smile == sorted(smile)
    assert 0.5 < smile[-1] <= 0.8


def test_a_still_holds_the_expression() -> None:
    clip = make_clip(replace(SETTINGS, dynamics="hold", frame_count=1, emotion="surprise"))
    (frame,) = clip.frames()
    assert frame.faces[0].emotion == "surprise"
    assert frame.faces[0].action_units[45] == 0


def test_pulses_come_as_often_as_asked_for() -> None:
    clip = make_clip(replace(SETTINGS, frame_count=60, pulses=3))
    high = np.array([frame.faces[0].intensity for frame in clip.frames()]) > 0.5
    assert np.count_nonzero(high[1:] & ~high[:-1]) == 3


def test_lights_differ_in_brightness_as_their_names_say() -> None:
    means = {
        name: float(
            np.mean([f.image_rgb.mean() for f in make_clip(replace(SETTINGS, light=name)).frames()])
        )
        for name in LIGHT_NAMES
    }
    assert means["strong"] > 1.5 * means["weak"]
    assert means["weak"] > 1.3 * means["dark"]


def test_wandering_clips_move_valence_and_arousal() -> None:
    clip = make_clip(replace(SETTINGS, emotion=None, frame_count=250, width=32, height=32))
    faces = [frame.faces[0] for frame in clip.frames()]
    assert clip.emotion is None
    for values in ([face.valence for face in faces], [face.arousal for face in faces]):
        assert -1 <= min(values) < max(values) <= 1
        assert np.ptp(values) > 0.4


def test_memory_does_not_grow_with_the_length() -> None:
    def peak_bytes(count: int) -> int:
        clip = make_clip(replace(SETTINGS, frame_count=count))
        next(clip.frames())  # the head is painted and kept before the measurement
        tracemalloc.start()
        for _ in itertools.islice(clip.frames(), count):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_bytes(160) < 1.2 * peak_bytes(20) + 100_000


def test_a_clip_of_a_week_begins_at_once() -> None:
    clip = make_clip(replace(SETTINGS, frame_count=25 * 3600 * 24 * 7))
    assert next(clip.frames()).faces[0].face_id == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emotion": "joy"}, "expected emotion of clip 'one' to be one of"),
        ({"dynamics": "pulsing"}, "expected dynamics of clip 'one' to be one of onset"),
        ({"light": "bright"}, "expected light of clip 'one'"),
        ({"partition": "dev"}, "expected partition of clip 'one'"),
        ({"subject": 0}, "numbers from 1; got 0"),
        ({"frame_count": 0}, "got 0 frames"),
        ({"width": 8}, "8 x 96 px"),
        ({"frame_rate": 0.0}, "0 a second"),
        ({"intensity": 1.2}, "expected intensity of clip 'one' between 0 and 1; got 1.2"),
        ({"turn_degrees": 40}, "expected turn_degrees of clip 'one' between 0 and 25"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(SETTINGS, **change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"subjects": ()},
        {"subjects": (3, 3)},
        {"subjects": tuple(range(1, 10)), "emotions": (None,) * 9},
        {"emotions": ("fear",)},
        {"cuts": 10},
    ],
)
def test_scenes_that_cannot_work_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="clip 'many'"):
        replace(SCENE, **change)


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(UsageError, match="got 'x' with 25 frames a second, 0 frames"):
        SynthClip(
            clip_id="x",
            subject="S001",
            emotion=None,
            dynamics="pulse",
            frame_rate=25,
            frame_count=0,
            width=10,
            height=10,
            render=lambda: iter(()),
        )
