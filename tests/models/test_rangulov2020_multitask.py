"""rangulov2020 with several tasks is rangulov2020 but for the heads."""

from __future__ import annotations

import pytest
import torch

from emotrace.errors import UsageError
from emotrace.models.cost import count_parameters
from emotrace.models.initialisation import initialise_from_weights
from emotrace.models.rangulov2020_cnn import Cnn, CnnOptions
from emotrace.models.rangulov2020_joint import Joint, JointGru3Options
from emotrace.models.rangulov2020_multitask import (
    CnnMultitask,
    CnnMultitaskOptions,
    JointMultitask,
    JointMultitaskOptions,
)

HEADS = 8 + 12 + 2


def test_counts_differ_by_the_heads_only() -> None:
    with torch.device("meta"):
        single, several = Cnn(CnnOptions()), CnnMultitask(CnnMultitaskOptions())
        joint = Joint(JointGru3Options())
        joint_several = JointMultitask(JointMultitaskOptions())
    assert count_parameters(several) - count_parameters(single) == 301 * (HEADS - 8)
    assert count_parameters(joint_several) - count_parameters(joint) == 51 * (HEADS - 2)


def test_the_single_task_networks_hand_their_weights_on() -> None:
    torch.manual_seed(0)
    small = {"input_size_px": 32, "filters": (4, 6, 8), "dense_width": 12}
    single = Cnn(CnnOptions(**small)).eval()  # type: ignore[arg-type]
    several = CnnMultitask(CnnMultitaskOptions(**small)).eval()  # type: ignore[arg-type]
    report = initialise_from_weights(several, single.state_dict(), source="single")
    assert {tensor.name.partition(".")[0] for tensor in report.kept} == {"head"}
    assert {tensor.source_name for tensor in report.left} == {"head.weight", "head.bias"}
    faces = torch.rand(3, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(several.features(faces), single.features(faces))


def test_options_that_the_frame_network_refuses_are_refused() -> None:
    with pytest.raises(UsageError, match="input_size_px of 8 or more"):
        CnnMultitaskOptions(input_size_px=4)
    with pytest.raises(UsageError, match="expected widths of 1 or more"):
        JointMultitaskOptions(widths=())
