"""Synthetic clips for the benchmark on time: drawn, put in order, cut into a crop cache.

Two kinds of clips:

- **Orders.** One row of states, from a neutral face to the apex of an expression, is shown in four
  orders (`ORDERS`). Every order shows every state once: what single frames look like is the same in
  all four classes by construction. Each clip is a take of its own, with its own light, room, head
  movement and noise, so that a class may still be learned by heart, but only on known takes.
- **Wandering.** Valence and arousal wander and the face follows (`emotion=None` of a clip).

For each there are `stills` too: a few frames each of many other people, for the networks that make
features. So what learns from features learns from people whom their maker never saw, as it will
have to say something of such people.

Pictures are drawn as face crops in the network's own size: no detector is needed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.parquet as pq

from emotrace.datasets.cache import open_cache
from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings, prepare_dataset
from emotrace.datasets.records import PARTITIONS, ClipRecord, Partition, make_frame_labels
from emotrace.faces import CropGeometry
from emotrace.labels import EMOTIONS
from emotrace.synth import ACTION_UNITS, CameraSettings, ClipSettings, make_clip, write_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ORDERS: Final = ("dip", "offset", "onset", "pulse")
"""`onset`: neutral to apex; `offset`: backwards; `pulse`: there and back, `dip`: back and there, at
twice the pace, the even states on the way up and the odd ones on the way down."""
EXPRESSIONS_SHOWN: Final = ("happiness", "sadness", "surprise")
ACTIVE_FROM: Final = 0.25
"""A unit of this intensity is labelled active."""
FACE_SHARE: Final = 0.85
"""Of a picture's side from hairline to chin: about what a detector's crop shows."""


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """One clip: who shows what, in which order of the states."""

    clip_id: str
    subject: int
    partition: Partition
    emotion: str | None
    """None lets valence and arousal wander."""
    order: str
    """One of `ORDERS`."""
    take: int


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """How clips are drawn."""

    size_px: int = 40
    frames: int = 16
    frame_rate: float = 8.0
    noise: float = 2.0
    """Standard deviation of the camera's noise, of 255."""
    turn_degrees: float = 10.0
    population: int = 0
    """Another number: other people."""


def shown_states(order: str, count: int) -> list[int]:
    """Return the states that a clip shows one after another; each once.

    >>> [shown_states(order, 6) for order in ORDERS]
    [[5, 3, 1, 0, 2, 4], [5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5], [0, 2, 4, 5, 3, 1]]
    """
    rising = list(range(count))
    up, down = rising[::2], rising[1::2][::-1]
    return {
        "onset": rising,
        "offset": rising[::-1],
        "pulse": up + down,
        "dip": down + up,
    }[order]


def partition_subjects(counts: Sequence[int]) -> list[Partition]:
    """Return the part of each subject: so many of train, of validation, of test."""
    return [part for part, count in zip(PARTITIONS, counts, strict=True) for _ in range(count)]


def plan_orders(parts: Sequence[Partition]) -> list[ClipPlan]:
    """Plan four clips of every subject: one expression in every order, one take each.

    Expressions take turns over the subjects.
    """
    plans: list[ClipPlan] = []
    for subject, part in enumerate(parts, start=1):
        emotion = EXPRESSIONS_SHOWN[subject % len(EXPRESSIONS_SHOWN)]
        for order in ORDERS:
            plans.append(
                ClipPlan(
                    clip_id=f"s{subject:03d}-{emotion}-{order}",
                    subject=subject,
                    partition=part,
                    emotion=emotion,
                    order=order,
                    take=len(plans),
                )
            )
    return plans


def plan_one_each(parts: Sequence[Partition], *, is_wandering: bool) -> list[ClipPlan]:
    """Plan one clip of every subject: valence and arousal that wander, or an expression's onset.

    Expressions take turns over the subjects.
    """
    return [
        ClipPlan(
            clip_id=f"s{subject:03d}",
            subject=subject,
            partition=part,
            emotion=None if is_wandering else EXPRESSIONS_SHOWN[subject % len(EXPRESSIONS_SHOWN)],
            order="onset",
            take=subject,
        )
        for subject, part in enumerate(parts, start=1)
    ]


def draw_clip(plan: ClipPlan, pictures: Pictures, folder: Path) -> ClipRecord:
    """Draw a clip's states into a folder, and describe the clip that shows them in its order."""
    clip = make_clip(
        ClipSettings(
            clip_id=plan.clip_id,
            subject=plan.subject,
            emotion=plan.emotion,
            dynamics="onset",
            frame_count=pictures.frames,
            frame_rate=pictures.frame_rate,
            width=pictures.size_px,
            height=pictures.size_px,
            face_share=FACE_SHARE,
            turn_degrees=pictures.turn_degrees,
            camera=CameraSettings(noise=pictures.noise),
            seed=plan.take,
            population=pictures.population,
            partition=plan.partition,
        )
    )
    truth = pq.read_table(write_frames(clip, folder / plan.clip_id))
    states = shown_states(plan.order, pictures.frames)
    shown = {name: truth[name].to_numpy()[states] for name in ("emotion", "valence", "arousal")}
    return ClipRecord(
        clip_id=plan.clip_id,
        dataset="synthetic",
        media=tuple(folder / plan.clip_id / f"{state:06d}.png" for state in states),
        subject=clip.subject,
        condition=plan.order if plan.emotion is not None else None,
        partition=plan.partition,
        frame_rate=pictures.frame_rate,
        frame_labels=make_frame_labels(
            np.arange(pictures.frames),
            frame_rate=pictures.frame_rate,
            emotion=np.array([EMOTIONS.index(name) for name in shown["emotion"]], np.int8),
            valence=shown["valence"].astype(np.float32),
            arousal=shown["arousal"].astype(np.float32),
            action_units={
                unit: (truth[f"au{unit:02d}"].to_numpy()[states] >= ACTIVE_FROM).astype(np.float32)
                for unit in ACTION_UNITS
            },
        ),
    )


def make_cache(plans: Sequence[ClipPlan], pictures: Pictures, folder: Path) -> Path:
    """Draw clips and prepare their crop cache; return its folder.

    What is there of the very same plan is not drawn again.

    Raises:
        SystemExit: The folder holds clips of another plan.
    """
    plan = json.dumps([asdict(pictures), *map(asdict, plans)])
    done, cache = folder / "plan.json", folder / "cache"
    if done.exists():
        if done.read_text("utf-8") != plan:
            raise SystemExit(f"{folder} holds other clips; choose another folder")
        return cache
    records = [draw_clip(one, pictures, folder / "pictures") for one in plans]
    cropping = CropSettings(
        crop=CropGeometry(size_px=pictures.size_px), color="grey", detector="none"
    )
    prepare_dataset(records, cache, settings=PrepareSettings(cropping=cropping, workers=1))
    done.write_text(plan, "utf-8")
    return cache


def require_same_frames(folder: Path) -> None:
    """Require that the frames of all orders have the same labels, each as often.

    Raises:
        SystemExit: They have not: single frames could tell the classes apart.
    """
    cache = open_cache(folder)
    condition = np.asarray(cache.clips["condition"])[cache.frames.clip]
    labels = np.stack(
        [cache.emotion_labels(), cache.frames.valence, cache.frames.arousal], axis=1
    ).astype(np.float32)
    shown = [labels[condition == order] for order in ORDERS]
    sorted_rows = [rows[np.lexsort(rows.T)] for rows in shown]
    if not all(np.array_equal(rows, sorted_rows[0]) for rows in sorted_rows):
        raise SystemExit("expected the same frames in every order; some differ")
