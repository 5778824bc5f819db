"""Rows of a zoo that train in a second, and crop caches of a few drawn clips for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings, prepare_dataset
from emotrace.datasets.records import ClipRecord, make_frame_labels
from emotrace.faces import CropGeometry
from emotrace.models.architecture import (
    Architecture,
    Head,
    HeadKind,
    InputKind,
    Network,
    SequenceNetwork,
    SequenceOutput,
    State,
)
from emotrace.training.stretches import ExampleWindows
from emotrace.training.zoo.recipe import (
    DataSettings,
    MachineSettings,
    OptimiserSettings,
    ZooRecipe,
)

if TYPE_CHECKING:
    from pathlib import Path

SIZE_PX = 12
EXPRESSIONS = ("anger", "happiness", "surprise")


def write_cache(
    root: Path,
    *,
    clips: int = 12,
    frames: int = 8,
    subjects: int = 6,
    emotions: tuple[str, ...] = EXPRESSIONS,
    gap_at: int | None = None,
    conditions: bool = True,
) -> Path:
    """Prepare clips of noise around a brightness that the label sets.

    Emotions take turns from clip to clip, subjects after each has shown them all. Valence rises and
    falls with the brightness of each frame, arousal is its opposite; action unit 12 is on in bright
    frames and not known in every third clip.

    Args:
        root: Folder for the pictures and the cache.
        clips: How many.
        frames: In each.
        subjects: How many people at most.
        emotions: Shown in turn.
        gap_at: A frame number that every clip lacks.
        conditions: Clips are said to be dim or bright.
    """
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(clips):
        kind = number % len(emotions)
        wave = np.sin(2 * np.pi * (np.arange(frames) / frames + number / clips))
        level = 60 + 60 * kind + 20 * wave
        pictures = level[:, None, None] + rng.normal(0, 12, (frames, SIZE_PX, SIZE_PX))
        index = np.array([at for at in range(frames) if at != gap_at])
        paths = [root / f"{number:02d}-{at:03d}.png" for at in index]
        for at, path in zip(index, paths, strict=True):
            assert cv2.imwrite(str(path), np.clip(pictures[at], 0, 255).astype(np.uint8))
        unit = np.where(number % 3 == 2, np.nan, wave > 0).astype(np.float32)
        records.append(
            ClipRecord(
                clip_id=f"clip{number:02d}",
                dataset="tiny",
                media=tuple(paths),
                media_frame_index=index,
                frame_rate=25.0,
                subject=f"s{number // len(emotions) % subjects}",
                emotion=emotions[kind],
                condition=("dim" if kind == 0 else "bright") if conditions else None,
                frame_labels=make_frame_labels(
                    index,
                    frame_rate=25.0,
                    valence=(wave / 2).astype(np.float32)[index],
                    arousal=(-wave / 2).astype(np.float32)[index],
                    action_units={12: unit[index]},
                ),
            )
        )
    settings = PrepareSettings(
        cropping=CropSettings(crop=CropGeometry(size_px=SIZE_PX), color="grey", detector="none"),
        workers=1,
    )
    prepare_dataset(records, root / "cache", settings=settings)
    return root / "cache"


@dataclass(frozen=True, kw_only=True)
class TinyOptions:
    """The shape of the tiny networks."""

    classes: int = 3
    """Expressions to tell apart; 0: no such head."""
    values: int = 0
    """Values of the head for valence and arousal: 0 or 2."""
    units: int = 0
    """Action units."""
    input_size_px: int = SIZE_PX
    input_channels: int = 1
    frames: int = 4
    features: int = 6
    dropout: float = 0.0
    norm: bool = False
    """Batch norm after the first layer."""

    def heads(self) -> tuple[Head, ...]:
        """The heads, in their order."""
        sizes = (
            ("expression", HeadKind.CATEGORICAL, self.classes),
            ("valence_arousal", HeadKind.CONTINUOUS, self.values),
            ("action_units", HeadKind.MULTI_LABEL, self.units),
        )
        return tuple(Head(name=name, kind=kind, size=size) for name, kind, size in sizes if size)


def _trunk(options: TinyOptions, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(channels, options.features, 3, padding=1)]
    if options.norm:
        layers.append(nn.BatchNorm2d(options.features))
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class TinyImage(Network):
    """One convolution, its mean, a layer."""

    def __init__(self, options: TinyOptions) -> None:
        super().__init__()
        self.heads = options.heads()
        self.trunk = _trunk(options, options.input_channels)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.features, self.outputs)

    def features(self, images: Tensor) -> Tensor:
        """Map pictures to `(batch, features)`."""
        found: Tensor = self.trunk(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Map pictures to `(batch, outputs)`."""
        outputs: Tensor = self.head(self.dropout(self.features(images)))
        return outputs


class TinyClip(TinyImage):
    """The frames of a clip as channels."""

    def __init__(self, options: TinyOptions) -> None:
        super().__init__(options)
        self.trunk = _trunk(options, options.input_channels * options.frames)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips to `(batch, outputs)`."""
        return super().forward(clips.flatten(1, 2))


class TinyVectors(SequenceNetwork):
    """A GRU on vectors."""

    def __init__(self, options: TinyOptions) -> None:
        super().__init__()
        self.heads = options.heads()
        self.gru = nn.GRU(options.features, 8, batch_first=True)
        self.head = nn.Linear(8, self.outputs)

    def initial_state(self, batch: int) -> State:
        """Zeros."""
        return (torch.zeros(batch, 8, device=self.head.weight.device),)

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Go on from `state`."""
        (before,) = state or self.initial_state(len(inputs))
        steps, after = self.gru(inputs, before.unsqueeze(0).contiguous())
        return SequenceOutput(outputs=self.head(steps), state=(after[0],))


class TinySequence(TinyVectors):
    """A GRU on the tiny image network's features."""

    def __init__(self, options: TinyOptions) -> None:
        super().__init__(options)
        self.trunk = _trunk(options, options.input_channels)

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Go on from `state`."""
        found = self.trunk(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        return super().forward(found, state)


def _row(name: str, kind: InputKind, build: Any) -> Architecture:
    return Architecture(
        name=name, paper="none", summary="for tests", kind=kind, options=TinyOptions, build=build
    )


IMAGE = _row("tiny-image", InputKind.IMAGE, TinyImage)
CLIP = _row("tiny-clip", InputKind.CLIP, TinyClip)
SEQUENCE = _row("tiny-sequence", InputKind.IMAGE_SEQUENCE, TinySequence)
VECTORS = _row("tiny-vectors", InputKind.VECTOR_SEQUENCE, TinyVectors)


def tiny_recipe(row: Architecture, data: Path, **changes: Any) -> ZooRecipe:
    """A recipe that takes a second: two epochs on the CPU."""
    options = TinyOptions(**changes.pop("options", {}))
    machine = MachineSettings(accelerator="cpu", threads=1)
    recipe = ZooRecipe(
        architecture=row.name,
        options=options,
        data=DataSettings(data=data, protocol="holdout", validation_share=0.34),
        windows=ExampleWindows(steps=0 if row.kind is InputKind.CLIP else 4),
        optimiser=OptimiserSettings(learning_rate=0.02),
        machine=replace(machine, **changes.pop("machine", {})),
        epochs=2,
        batch_size=8,
    )
    return replace(recipe, **changes)
