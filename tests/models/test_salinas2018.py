"""The six networks of salinas2018: how frames are joined, and what cannot be built."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import torch

from emotrace.errors import UsageError
from emotrace.models.cost import build_without_weights, count_parameters
from emotrace.models.salinas2018_conv3d import Conv3d, Conv3dOptions
from emotrace.models.salinas2018_early_fusion import EarlyFusion
from emotrace.models.salinas2018_late_fusion import LateFusion
from emotrace.models.salinas2018_single_frame import SingleFrame, SingleFrameOptions
from emotrace.models.salinas2018_slow_fusion import SlowFusion, SlowFusionOptions
from emotrace.models.zoo import ARCHITECTURES, find_architecture
from tests.models.small_options import build_used, random_inputs, small_options

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.models.architecture import Architecture, Network

SIX = [row for row in ARCHITECTURES if row.name.startswith("salinas2018-")]
six = pytest.mark.parametrize("row", SIX, ids=lambda row: row.name)


def used(name: str) -> tuple[Network, Tensor]:
    row = find_architecture(name)
    return build_used(row), random_inputs(row, small_options(row), batch=2)


def test_there_are_six() -> None:
    assert len(SIX) == 6


@six
def test_1024_values_leave_the_convolutions_of_the_papers_picture(row: Architecture) -> None:
    assert row.options().values_after_convolutions == 1024


@six
def test_a_picture_of_which_nothing_would_be_left_is_refused(row: Architecture) -> None:
    with pytest.raises(UsageError, match=r"input_size_px of 128 or more.*got 127"):
        dataclasses.replace(row.options(), input_size_px=127)
    network = build_without_weights(row, dataclasses.replace(row.options(), input_size_px=128))
    assert count_parameters(network) < (row.published_parameters or 0)


@six
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": 0}, "classes of 1 or more; got 0"),
        ({"input_channels": 0}, "input_channels of 1 or more"),
        ({"filters": (96, 256, 0, 384, 256)}, "filters of 1 or more"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\); got 1.0"),
    ],
)
def test_what_cannot_be_built_is_refused(
    row: Architecture, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        dataclasses.replace(row.options(), **changes)


@six
def test_classes_change_the_last_layer_only(row: Architecture) -> None:
    options = row.options()
    counts = [
        count_parameters(build_without_weights(row, dataclasses.replace(options, classes=classes)))
        for classes in (7, 8)
    ]
    width = options.recurrent_width if row.name.endswith("recurrent") else options.dense_width
    assert counts[1] - counts[0] == width + 1


def test_the_texts_filters_are_an_option_and_not_what_the_table_counts() -> None:
    row = find_architecture("salinas2018-single-frame")
    options = SingleFrameOptions(filters=(96, 384, 384, 256, 256))
    convolutions = (
        96 * (3 * 121 + 1)
        + 384 * (96 * 25 + 1)
        + 384 * (384 * 9 + 1)
        + 256 * (384 * 9 + 1)
        + 256 * (256 * 9 + 1)
    )
    rest = 2 * (96 + 384) + 4096 * (1024 + 1) + 4096 * (4096 + 1) + 8 * (4096 + 1)
    counted = count_parameters(build_without_weights(row, options))
    assert counted == convolutions + rest
    assert counted != row.published_parameters


@pytest.mark.parametrize("name", [row.name for row in SIX if row.kind.value == "clip"])
def test_clips_of_another_length_are_refused(name: str) -> None:
    network, clips = used(name)
    with pytest.raises(UsageError, match=f"expected clips of {clips.shape[1]} frames"):
        network(clips[:, 1:])
    with pytest.raises(UsageError, match="expected clips of"):
        network(clips[:, 0])


def test_early_fusion_reads_frame_after_frame_as_channels() -> None:
    network, clips = used("salinas2018-early-fusion")
    assert isinstance(network, EarlyFusion)
    stacked = torch.cat(clips.unbind(1), dim=1)
    with torch.inference_mode():
        expected = network.classifier(network.blocks(stacked))
        torch.testing.assert_close(network(clips), expected)
        assert not torch.allclose(network(clips.flip(1)), expected)


def test_late_fusion_puts_what_its_towers_saw_side_by_side() -> None:
    network, clips = used("salinas2018-late-fusion")
    assert isinstance(network, LateFusion)
    with torch.inference_mode():
        seen = [network.tower(frame) for frame in clips.unbind(1)]
        expected = network.classifier(torch.cat(seen, dim=1))
        torch.testing.assert_close(network(clips), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(network(clips.flip(1)), expected)


def test_slow_fusion_joins_towers_of_four_frames_in_pairs() -> None:
    network, clips = used("salinas2018-slow-fusion")
    assert isinstance(network, SlowFusion)
    with torch.inference_mode():
        first = [
            network.first_level(torch.cat([clips[:, at] for at in frames], dim=1))
            for frames in ((0, 1, 2, 3), (2, 3, 4, 5), (4, 5, 6, 7), (6, 7, 8, 9))
        ]
        left = network.second_level(torch.cat(first[:2], dim=1))
        right = network.second_level(torch.cat(first[2:], dim=1))
        expected = network.classifier(network.third_level(torch.cat([left, right], dim=1)))
        torch.testing.assert_close(network(clips), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("frames", "tower_frames", "tower_stride", "towers"),
    [(10, 4, 2, 4), (5, 4, 1, 2), (12, 2, 2, 6)],
)
def test_slow_fusion_takes_other_even_numbers_of_towers(
    frames: int, tower_frames: int, tower_stride: int, towers: int
) -> None:
    options = dataclasses.replace(
        small_options(find_architecture("salinas2018-slow-fusion")),
        frames=frames,
        tower_frames=tower_frames,
        tower_stride=tower_stride,
    )
    assert options.towers == towers
    logits = SlowFusion(options).eval()(torch.rand(1, frames, 1, 128, 128))
    assert logits.shape == (1, 6)


@pytest.mark.parametrize("frames", [3, 4, 9, 11, 12])
def test_slow_fusion_refuses_frames_that_its_towers_do_not_cover(frames: int) -> None:
    with pytest.raises(UsageError, match="even number of towers"):
        SlowFusionOptions(frames=frames)


def test_three_dimensional_kernels_see_time() -> None:
    network, clips = used("salinas2018-conv3d")
    assert isinstance(network, Conv3d)
    still = clips[:, :1].expand_as(clips)
    with torch.inference_mode():
        assert not torch.allclose(network(clips), network(clips.flip(1)))
        torch.testing.assert_close(network(still), network(still.flip(1)))


def test_three_dimensional_kernels_of_the_text_need_more_frames() -> None:
    with pytest.raises(UsageError, match=r"at least 7 frames .*\(5, 3\); got 5"):
        Conv3dOptions(temporal_kernels=(5, 3))
    assert Conv3dOptions(temporal_kernels=(5, 3), frames=7).frames_left == 1


def test_frames_that_time_kernels_leave_over_are_channels_of_the_third_block() -> None:
    options = dataclasses.replace(small_options(find_architecture("salinas2018-conv3d")), frames=7)
    network = Conv3d(options).eval()
    assert options.frames_left == 3
    assert network(torch.rand(1, 7, 1, 128, 128)).shape == (1, 6)


def test_a_tower_is_the_single_frame_networks_convolutional_part() -> None:
    single, picture = used("salinas2018-single-frame")
    late, _ = used("salinas2018-late-fusion")
    assert isinstance(single, SingleFrame)
    assert isinstance(late, LateFusion)
    late.tower.load_state_dict(single.blocks.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(late.tower(picture), single.blocks(picture))
