"""The compact trunk below heads of one's choice is the default network's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from emotrace.errors import UsageError
from emotrace.models.compact import CompactNet
from emotrace.models.compact_networks import (
    CompactMultitaskOptions,
    CompactOptions,
    CompactSequenceOptions,
    build_compact,
    build_compact_sequence,
)
from emotrace.models.compact_options import CompactNetOptions
from emotrace.models.cost import count_parameters

SMALL = CompactOptions(stem_width=4, widths=(8, 12), blocks=(2, 1))


def test_the_trunk_is_that_of_the_default_network() -> None:
    shared = {field.name for field in dataclasses.fields(CompactNetOptions)} - {
        "ferplus_classes",
        "fer2013_classes",
    }
    ours, theirs = CompactOptions(), CompactNetOptions()
    assert {name: getattr(ours, name) for name in shared} == {
        name: getattr(theirs, name) for name in shared
    }
    assert ours.trunk() == theirs
    # Two heads less: of 7 and of 1 on 256 features with biases.
    assert count_parameters(build_compact(ours)) == 2_541_478 - 8 * 257


@pytest.mark.parametrize("changes", [{}, {"standardised": True}, {"first_stride": 1}])
def test_with_its_weights_it_says_what_the_default_network_says(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    options = dataclasses.replace(SMALL, **changes)
    whole, network = CompactNet(options.trunk()).eval(), build_compact(options).eval()
    state = whole.state_dict()
    weights = {f"extractor.{name}": value for name, value in state.items() if "head" not in name}
    weights |= {
        f"head.expression.{name}": state[f"ferplus_head.{name}"] for name in ("weight", "bias")
    }
    network.load_state_dict(weights)
    faces = torch.rand(3, 1, 48, 48)
    with torch.inference_mode():
        torch.testing.assert_close(network(faces), whole(faces).ferplus_logits)


@pytest.mark.parametrize("first_stride", [1, 2])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_every_side_that_is_not_refused_fits(stages: int, first_stride: int) -> None:
    """The stages must halve it evenly: that is refused, and nothing else."""
    shape: dict[str, Any] = {"stem_width": 2, "widths": (4,) * stages, "blocks": (1,) * stages}
    shape["first_stride"] = first_stride
    step = 2**stages * first_stride // 2
    sides = []
    for side in range(1, 26):
        try:
            options = CompactOptions(input_size_px=side, **shape)
        except UsageError:
            continue
        assert CompactNet(options.trunk()).eval()(torch.rand(1, 1, side, side))
        sides.append(side)
    assert sides == list(range(step, 26, step))


def test_features_over_time_are_those_of_each_picture() -> None:
    torch.manual_seed(0)
    options = CompactSequenceOptions(stem_width=4, widths=(8, 12), blocks=(2, 1), width=6)
    network = build_compact_sequence(options).eval()
    clips = torch.rand(2, 5, 1, 48, 48)
    with torch.inference_mode():
        vectors = torch.stack([network.features(clip) for clip in clips])
        steps, _ = network.temporal(vectors, network.initial_state(2))
        torch.testing.assert_close(network(clips).outputs, network.head(steps))


def test_all_tasks_at_once_by_default_in_the_row_for_it() -> None:
    network = build_compact(
        CompactMultitaskOptions(stem_width=4, widths=(8,), blocks=(1,), classes=7)
    )
    assert [(head.name, head.size) for head in network.heads] == [
        ("expression", 7),
        ("action_units", 12),
        ("valence_arousal", 2),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (8,)}, "expected as many blocks as widths, 1; got"),
        ({"dropout": 1.0}, r"expected dropout in \[0, 1\); got 1.0"),
        ({"input_channels": 0}, "expected input_channels of 1 or more"),
        ({"heads": ()}, "one or more tasks"),
        ({"input_size_px": 40}, "multiple of 16, as 4 stages halve it; got 40; 32 and 48 fit"),
        ({"input_size_px": 8}, "multiple of 16, as 4 stages halve it; got 8; 16 fits"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    for options in (CompactOptions, CompactSequenceOptions):
        with pytest.raises(UsageError, match=message):
            options(**changes)
    with pytest.raises(UsageError, match="expected window of 1 or more"):
        CompactSequenceOptions(window=0)
