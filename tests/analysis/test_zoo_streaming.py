"""Every row of the zoo, through the real pipeline: frame by frame as over the whole track.

The network is run once over each whole track in torch; its bundle is run by `analyze_video` on the
video. A row that takes vectors is put behind an extractor first.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from emotrace.analysis.pipeline import analyze_video
from emotrace.analysis.settings import AnalysisSettings
from emotrace.faces import extract_crop
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS
from emotrace.models.architecture import InputKind, SequenceNetwork, split_outputs
from emotrace.models.join import join_extractor
from emotrace.models.zoo import ARCHITECTURES, find_architecture
from emotrace.synth import ClipSettings, make_clip, write_video
from emotrace.training.zoo.export import BundleFacts, export_zoo_bundle
from emotrace.video import VideoReader
from tests.analysis.test_pipeline import BoxDetector
from tests.models.small_options import (
    build_small,
    build_used,
    outputs_of,
    small_options,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from emotrace.models.architecture import Architecture, Network

FRAMES = 12
BOXES = ((2.0, 10.0, 40.0, 60.0), (50.0, 20.0, 44.0, 50.0))
"""Two stretches of the picture; what is in them is no matter here."""
TOLERANCE = 1e-4
ROUNDING = 1e-6
"""Of 32-bit arithmetic in another order of summation, generously."""
QUICK = {
    "salinas2018-early-fusion",
    "salinas2018-recurrent",
    "rangulov2020-cnn",
    "rangulov2020-gru1",
}
"""One row of each kind for every run of the tests; all of them where there is time."""


def rows(*, of_vectors: bool) -> list[Any]:
    return [
        pytest.param(row, id=row.name, marks=() if row.name in QUICK else pytest.mark.slow)
        for row in ARCHITECTURES
        if (row.kind is InputKind.VECTOR_SEQUENCE) == of_vectors
    ]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streaming") / "face.mp4"
    settings = ClipSettings(clip_id="face", subject=1, frame_count=FRAMES, width=96, height=96)
    write_video(make_clip(settings), path)
    return path


def heads_with_expressions(row: Architecture) -> dict[str, Any]:
    """Options that give a row eight expressions, and whatever else it can predict beside them."""
    fields = {field.name for field in dataclasses.fields(row.options)}
    if "heads" in fields:
        return {"heads": ("action_units", "expression", "valence_arousal"), "classes": 8}
    return {"classes": 8} | ({"head": "expression"} if "head" in fields else {})


def tracks_of(clip: Path, options: Any) -> NDArray[np.float32]:
    """`(faces, frames, channels, size, size)`: what the model is to see of each face."""
    detector = BoxDetector(*BOXES)
    geometry = CropGeometry(size_px=options.input_size_px)
    frames = []
    with VideoReader(clip) as reader:
        for frame in reader:
            crops = np.stack(
                [
                    extract_crop(
                        frame.image_rgb, face, mapping=detector.canonical, geometry=geometry
                    )
                    for face in detector.detect(frame.image_rgb)
                ]
            )
            if options.input_channels == 1:
                crops = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])[
                    ..., None
                ]
            frames.append(np.moveaxis(crops, 3, 1).astype(np.float32) / 255)
    return np.stack(frames, axis=1)


def run_offline(network: Network, options: Any, tracks: NDArray[np.float32]) -> torch.Tensor:
    """Outputs for all frames of all tracks, `(faces, frames, outputs)`."""
    inputs = torch.from_numpy(tracks)
    network.eval()
    with torch.inference_mode():
        if isinstance(network, SequenceNetwork):
            return outputs_of(network, inputs)
        if hasattr(options, "frames"):  # every second frame; before the first one, the first
            back = 2 * torch.arange(options.frames - 1, -1, -1)
            at = (torch.arange(FRAMES)[:, None] - back).clamp(min=0)
            inputs = inputs[:, at]
        outputs = outputs_of(network, inputs.flatten(0, 1))
    return outputs.reshape(len(BOXES), FRAMES, -1)


def check_streaming(
    clip: Path, folder: Path, network: Network, row: Architecture, options: Any
) -> None:
    outputs = run_offline(network, options, tracks_of(clip, options))
    expected = split_outputs(outputs, network.heads)
    labels = {
        "expression": EMOTIONS,
        "valence_arousal": ("valence", "arousal"),
        "action_units": [f"au_{at:02d}" for at in range(12)],
    }
    facts = BundleFacts(
        name="made",
        labels={head.name: labels[head.name] for head in network.heads},
        crop=CropGeometry(size_px=options.input_size_px),
        training_data="none",
        licence="none",
        frame_step=2,
    )
    export_zoo_bundle(network, row, options, folder, facts)
    table = analyze(clip, folder, batch_size=7, threads=2)
    assert len(table) == len(BOXES) * FRAMES
    for position in range(len(BOXES)):
        mine = table[table["face_id"] == position + 1]
        probabilities = torch.softmax(expected["expression"][position], dim=-1).numpy()
        # A frame taken for its neighbour must show.
        change = float(np.abs(np.diff(probabilities, axis=0)).max())
        assert change > 10 * ROUNDING
        tolerance = min(TOLERANCE, change / 10)
        np.testing.assert_allclose(mine[list(EMOTIONS)], probabilities, atol=tolerance)
        if "valence_arousal" in expected:
            affect = expected["valence_arousal"][position].clamp(-1, 1).numpy()
            np.testing.assert_allclose(mine[["valence", "arousal"]], affect, atol=TOLERANCE)
            assert set(mine["valence_arousal_source"]) == {"model"}
    for batch_size, threads in ((1, 1), (64, 3)):
        assert analyze(clip, folder, batch_size=batch_size, threads=threads).equals(table)


def analyze(clip: Path, folder: Path, *, batch_size: int, threads: int) -> pd.DataFrame:
    return analyze_video(
        clip,
        detector=BoxDetector(*BOXES),
        bundle=folder,
        settings=AnalysisSettings(batch_size=batch_size, threads=threads),
    ).to_pandas()


@pytest.mark.parametrize("row", rows(of_vectors=False))
def test_a_row_that_takes_pictures_runs_frame_by_frame(
    row: Architecture, clip: Path, tmp_path: Path
) -> None:
    changes = heads_with_expressions(row)
    # A ResNet-50 whose weights are shaken at random gives huge values, of which rounding alone is
    # more than 1e-4.
    build = build_small if row.name == "tzirakis2021" else build_used
    network = build(row, **changes).eval()
    check_streaming(clip, tmp_path / "bundle", network, row, small_options(row, **changes))


@pytest.mark.parametrize("row", rows(of_vectors=True))
def test_a_row_that_takes_vectors_runs_behind_an_extractor(
    row: Architecture, clip: Path, tmp_path: Path
) -> None:
    pictures_row = find_architecture("rangulov2020-cnn")
    pictures, options = build_used(pictures_row), small_options(pictures_row)
    changes = {**heads_with_expressions(row), "features": options.dense_width}
    vectors = build_used(row, **changes)
    assert isinstance(vectors, SequenceNetwork)
    network, joined_row = join_extractor(
        pictures, pictures_row, options, vectors, row, small_options(row, **changes)
    )
    check_streaming(clip, tmp_path / "bundle", network, joined_row, options)
