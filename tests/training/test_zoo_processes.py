"""Several processes that train together do what one does."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from emotrace.errors import TrainingError, UsageError
from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.processes import JointBatchNorm, join_batch_norms, own_slice
from emotrace.training.zoo.checkpoints import read_checkpoint
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.launch import launch_processes
from emotrace.training.zoo.recipe import OptimiserSettings
from tests.training.failing import fail_in_one
from tests.training.tiny_zoo import SEQUENCE, tiny_recipe, write_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"))


def losses(run: Path, name: str = "train_curve.csv") -> np.ndarray:
    with (run / name).open(newline="") as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(cache: Path, tmp_path: Path) -> None:
    """With everything that is no mean over samples: CCC, missing labels, batch norm."""
    changes: dict[str, Any] = {
        "options": {"values": 2, "units": 1, "norm": True},
        "augmentation": AUGMENTATIONS["modern"],
        "optimiser": OptimiserSettings(learning_rate=0.05, optimiser="sgd"),
        "epochs": 4,
        "batch_size": 6,
    }
    one = tiny_recipe(SEQUENCE, cache, **changes)
    two = tiny_recipe(SEQUENCE, cache, machine={"devices": 2}, **changes)
    alone = fit_zoo(one, tmp_path / "one", architecture=SEQUENCE)
    together = fit_zoo(two, tmp_path / "two", architecture=SEQUENCE)
    assert len(losses(tmp_path / "one")) == 4 * 5
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-4)
    seen = [losses(tmp_path / run, "validation_curve.csv") for run in ("two", "one")]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-4)
    weights = [read_checkpoint(found.last)["state_dict"] for found in (alone, together)]
    assert set(weights[0]) == set(weights[1])
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_batches_that_cannot_be_shared_evenly_are_refused(cache: Path, tmp_path: Path) -> None:
    from emotrace.training.sampling import SamplingSettings, training_loader
    from emotrace.training.zoo.data import load_data

    recipe = tiny_recipe(SEQUENCE, cache)
    data = load_data(recipe, kind=SEQUENCE.kind, heads=SEQUENCE.build(recipe.options).heads)
    with pytest.raises(UsageError, match="batch_size that 2 processes can share evenly; got 7"):
        training_loader(
            data.train,
            SamplingSettings(),
            batch_size=7,
            accumulation=1,
            seed=0,
            workers=0,
            rank=0,
            processes=2,
        )


def test_what_the_first_process_returns_comes_back() -> None:
    assert launch_processes(fail_in_one, ("none",), count=2) == "0 of 2"


def test_what_goes_wrong_in_one_process_is_told() -> None:
    with pytest.raises(UsageError, match="expected this; got that"):
        launch_processes(fail_in_one, ("error",), count=2)
    with pytest.raises(TrainingError, match="one failed with KeyError: 'lost'"):
        launch_processes(fail_in_one, ("bug",), count=2)
    with pytest.raises(TrainingError, match="one ended with exit code 3"):
        launch_processes(fail_in_one, ("exit",), count=2)


def test_slices_make_the_whole() -> None:
    items = list(range(12))
    assert [at for rank in range(3) for at in own_slice(items, rank, 3)] == items


def test_a_joint_batch_norm_of_one_process_is_torchs_own() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(12))
    joint = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(12))
    joint.load_state_dict(plain.state_dict())
    join_batch_norms(joint)
    assert sum(isinstance(module, JointBatchNorm) for module in joint.modules()) == 2
    assert list(joint.state_dict()) == list(plain.state_dict())
    images = torch.randn(5, 2, 4, 4)
    for _ in range(3):
        torch.testing.assert_close(joint(images), plain(images))
    torch.testing.assert_close(joint.eval()(images), plain.eval()(images))


def normalise(seed: int) -> list[np.ndarray]:
    """Run on half of a batch in each of two processes; return what the first can compare."""
    import torch.distributed as dist

    from emotrace.training.processes import join_processes, process_rank

    dist.init_process_group("gloo")
    torch.manual_seed(seed)
    norm = JointBatchNorm(3)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
    whole = torch.randn(8, 3, 2, 2)
    own = whole.chunk(2)[process_rank()].clone().requires_grad_()
    outputs = join_processes(norm(own))
    torch.autograd.backward(
        (outputs.square() * torch.linspace(0, 1, outputs.numel()).view_as(outputs)).sum()
    )
    assert own.grad is not None
    assert norm.weight.grad is not None
    assert norm.running_var is not None
    gradient = own.grad.clone()
    parts = [torch.empty_like(gradient) for _ in range(2)]
    dist.all_gather(parts, gradient)
    weight = norm.weight.grad.clone()
    dist.all_reduce(weight)
    found = [outputs.detach(), torch.cat(parts) / 2, weight / 2, norm.running_var.clone()]
    dist.destroy_process_group()
    return [values.numpy() for values in found]


@pytest.mark.slow
def test_joint_batch_norm_and_joins_have_the_gradients_of_one_process() -> None:
    found = launch_processes(normalise, (3,), count=2)
    outputs, gradient, weight, variance = (torch.from_numpy(values) for values in found)
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
    whole = torch.randn(8, 3, 2, 2, requires_grad=True)
    alone = norm(whole)
    torch.autograd.backward(
        (alone.square() * torch.linspace(0, 1, alone.numel()).view_as(alone)).sum()
    )
    torch.testing.assert_close(outputs, alone.detach())
    torch.testing.assert_close(gradient, whole.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weight, norm.weight.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(variance, norm.running_var)
