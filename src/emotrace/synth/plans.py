"""Planning a whole set of clips: who shows what, in which light, in which part of the set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.synth.camera import CameraSettings, LightName
from emotrace.synth.clips import MAX_PEOPLE, ClipSettings, SceneSettings, make_clip, make_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emotrace.synth.dynamics import Dynamics
    from emotrace.synth.truth import Partition, SynthClip

EmotionChoice = Literal[
    "all",
    "free",
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
]
"""`all` goes through `EMOTIONS`; `free` lets valence and arousal wander."""

PARTITION_CYCLE: Final[tuple[Partition, ...]] = ("train", "validation", "test", "train", "train")
"""Subjects 1, 2, 3, ... go to these parts in turn: no subject is in two, and three fill all."""
_WITHOUT_CONTEMPT: Final = tuple(name for name in EMOTIONS if name != "contempt")
_PULSE_SECONDS: Final = 4.0
"""In a long clip an expression comes and goes about as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What a data set is usually like; options given by the user come before it."""

    emotion: EmotionChoice = "all"
    emotions: tuple[str, ...] = EMOTIONS
    """What `all` means: those that the data set has a label for."""
    dynamics: Dynamics = "pulse"
    is_still: bool = False
    """One picture a clip."""
    takes: tuple[tuple[LightName, bool], ...] = (("normal", False),)
    """Light, and whether the camera is grey, of the clips of one person and expression."""


LAYOUT_HABITS: Final[dict[str, Habit]] = {
    "ckplus": Habit(dynamics="onset"),
    "jaffe": Habit(emotions=_WITHOUT_CONTEMPT, dynamics="hold", is_still=True),
    # Strong, weak and dark for the camera of visible light, then for the near-infrared one.
    "oulu-casia": Habit(
        emotions=tuple(name for name in _WITHOUT_CONTEMPT if name != "neutral"),
        dynamics="onset",
        takes=(
            ("strong", False),
            ("weak", False),
            ("dark", False),
            ("strong", True),
            ("weak", True),
            ("dark", True),
        ),
    ),
    "affwild2": Habit(emotion="free"),
    "recola": Habit(emotion="free"),
    "ravdess": Habit(emotions=_WITHOUT_CONTEMPT),
    "fer2013": Habit(emotions=_WITHOUT_CONTEMPT, dynamics="hold", is_still=True),
    "ferplus-csv": Habit(dynamics="hold", is_still=True),
}
"""By layout; one that is not here has the habits of `Habit()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSettings:
    """A set of clips."""

    clips: int = 8
    people: int = 1
    """In one picture."""
    subjects: int | None = None
    """How many different people there are; None for as many as the clips ask for."""
    emotion: EmotionChoice | None = None
    """None: as the layout's data set has it, else `all`."""
    dynamics: Dynamics | None = None
    """None: as the layout's data set has it, else `pulse`."""
    seconds: float = 3.0
    frame_rate: float = 25.0
    width: int = 320
    height: int = 240
    cuts: int = 0
    """In each clip of several people."""
    light: LightName | None = None
    """None: as the layout's data set has it, else `normal`."""
    camera: CameraSettings = field(default_factory=CameraSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clips < 1 or (self.subjects is not None and self.subjects < 1):
            raise UsageError(
                f"expected at least 1 clip and 1 subject; got {self.clips} and {self.subjects}"
            )
        if not 1 <= self.people <= MAX_PEOPLE:
            raise UsageError(f"expected 1 to {MAX_PEOPLE} people in a picture; got {self.people}")
        if self.subjects is not None and self.subjects < self.people:
            raise UsageError(
                f"expected at least as many subjects as people in a picture; got {self.subjects} "
                f"subjects and {self.people} people"
            )
        if not 0 < self.seconds < float("inf"):
            raise UsageError(f"expected a length above 0 seconds; got {self.seconds:g}")
        if self.people > 1 and self.dynamics not in (None, "pulse"):
            raise UsageError(
                f"expected the dynamics 'pulse' for clips of several people; got {self.dynamics!r}"
            )
        if self.people == 1 and self.cuts:
            raise UsageError("expected at least 2 people in a clip with cuts; got 1")
        if self.emotion is not None and self.emotion not in get_args(EmotionChoice):
            raise UsageError(
                f"expected an emotion out of {', '.join(get_args(EmotionChoice))}; "
                f"got {self.emotion!r}"
            )


def plan_set(settings: SetSettings, *, layout: str | None = None) -> Iterator[SynthClip]:
    """Plan the clips of a set: expressions in turn, then the next person.

    Args:
        settings: What is asked for; where it says nothing, the layout's data set decides.
        layout: One of `emotrace.synth.layouts.LAYOUTS`, or None.

    Raises:
        UsageError: A setting cannot work.
    """
    habit = LAYOUT_HABITS.get(layout or "", Habit())
    choice = settings.emotion or habit.emotion
    emotions: tuple[str | None, ...] = (choice,)
    if choice == "all":
        emotions = habit.emotions
    elif choice == "free":
        emotions = (None,)
    takes = habit.takes
    if settings.light is not None:
        takes = ((settings.light, False),)
    for number in range(settings.clips):
        take = number % len(takes)
        emotion_number = number // len(takes)
        person = emotion_number // len(emotions)
        if settings.people > 1:
            yield _plan_scene(settings, number, emotions, takes[take][0])
        else:
            emotion = emotions[emotion_number % len(emotions)]
            yield _plan_clip(settings, habit, number, person, emotion, takes[take])


def frame_count(settings: SetSettings, *, layout: str | None = None) -> int:
    """Return how many frames each clip of a set has."""
    if LAYOUT_HABITS.get(layout or "", Habit()).is_still and settings.people == 1:
        return 1
    return max(1, round(settings.seconds * settings.frame_rate))


def _plan_clip(
    settings: SetSettings,
    habit: Habit,
    number: int,
    person: int,
    emotion: str | None,
    take: tuple[LightName, bool],
) -> SynthClip:
    subject = 1 + (person if settings.subjects is None else person % settings.subjects)
    light, is_grey = take
    count = 1 if habit.is_still else max(1, round(settings.seconds * settings.frame_rate))
    dynamics = settings.dynamics or habit.dynamics
    camera = settings.camera
    if is_grey:
        camera = CameraSettings(
            noise=camera.noise,
            blur_px=camera.blur_px,
            jpeg_quality=camera.jpeg_quality,
            is_grey=True,
        )
    return make_clip(
        ClipSettings(
            clip_id=f"clip{number + 1:05d}",
            subject=subject,
            emotion=emotion,
            dynamics=dynamics,
            pulses=min(count, max(1, round(count / settings.frame_rate / _PULSE_SECONDS))),
            frame_count=count,
            frame_rate=settings.frame_rate,
            width=settings.width,
            height=settings.height,
            light=light,
            camera=camera,
            seed=number,
            population=settings.seed,
            partition=PARTITION_CYCLE[(subject - 1) % len(PARTITION_CYCLE)],
        )
    )


def _plan_scene(
    settings: SetSettings, number: int, emotions: tuple[str | None, ...], light: LightName
) -> SynthClip:
    people = settings.people
    pool = settings.subjects or people * settings.clips
    # The same group stays together, so that no subject gets into two parts.
    group = number % max(1, pool // people)
    subjects = tuple(1 + group * people + one for one in range(people))
    return make_scene(
        SceneSettings(
            clip_id=f"clip{number + 1:05d}",
            subjects=subjects,
            emotions=tuple(emotions[(number + 3 * one) % len(emotions)] for one in range(people)),
            frame_count=max(1, round(settings.seconds * settings.frame_rate)),
            frame_rate=settings.frame_rate,
            width=settings.width,
            height=settings.height,
            cuts=settings.cuts,
            light=light,
            camera=settings.camera,
            seed=number,
            population=settings.seed,
            partition=PARTITION_CYCLE[group % len(PARTITION_CYCLE)],
        )
    )
