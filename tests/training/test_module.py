"""The schedule, the averaged weights and what validation logs."""

from __future__ import annotations

import dataclasses
import math

import lightning
import pytest
import torch

from emotrace.models.compact import CompactNetOutput
from emotrace.training.batches import FaceBatch, SamplingPriors
from emotrace.training.module import ExpressionModule, _moving_average, _shrink
from emotrace.training.recipe import DefaultRecipe
from tests.training.tiny import TINY_RECIPE

PRIORS = SamplingPriors(torch.full((8,), 1 / 8), torch.full((7,), 1 / 7))


def make_module(recipe: DefaultRecipe = TINY_RECIPE, steps_total: int = 8) -> ExpressionModule:
    torch.manual_seed(0)
    return ExpressionModule(recipe, PRIORS, steps_total)


def learning_rates(recipe: DefaultRecipe, steps_per_epoch: int) -> list[float]:
    steps = recipe.epochs_total * steps_per_epoch
    found = make_module(recipe, steps).configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    assert found["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_rate_rises_for_the_warm_up_then_falls_as_a_half_cosine() -> None:
    recipe = dataclasses.replace(TINY_RECIPE, epochs=4, warmup_epochs=1.0)
    rates = learning_rates(recipe, 10)
    assert rates[:10] == pytest.approx([0.1 * step / 10 for step in range(1, 11)])
    fall = [0.05 * (1 + math.cos(math.pi * step / 30)) for step in range(30)]
    assert rates[10:] == pytest.approx(fall)
    assert rates[-1] < 0.001


def test_refinement_and_growing_leave_the_one_cosine_as_it_is() -> None:
    plain = dataclasses.replace(TINY_RECIPE, epochs=6, refine_epochs=0, growing_share=0.0)
    changed = dataclasses.replace(plain, refine_epochs=2, first_size_px=16, growing_share=0.5)
    rates = learning_rates(changed, 20)
    assert rates == learning_rates(plain, 20)
    falls = rates[20:]
    assert falls == sorted(falls, reverse=True)
    assert len(set(falls)) == 100


def test_polishing_is_a_second_lower_fall_that_leaves_the_first_as_it_is() -> None:
    plain = dataclasses.replace(TINY_RECIPE, epochs=4)
    polished = dataclasses.replace(plain, polish_epochs=2, polish_factor=0.3)
    rates = learning_rates(polished, 20)
    assert rates[:80] == pytest.approx(learning_rates(plain, 20))
    assert rates[80] == pytest.approx(0.3 * polished.learning_rate)
    assert rates[80:] == sorted(rates[80:], reverse=True)
    assert rates[-1] < 0.001


def test_the_whole_run_may_be_warm_up() -> None:
    recipe = dataclasses.replace(TINY_RECIPE, epochs=1, warmup_epochs=1.0)
    assert learning_rates(recipe, 4) == pytest.approx([0.025, 0.05, 0.075, 0.1])


def test_faces_are_made_smaller_without_aliasing() -> None:
    faces = torch.rand(2, 1, 48, 48)
    assert torch.equal(_shrink(faces, 48), faces)
    columns = torch.arange(48).remainder(2).float().expand(1, 1, 48, 48)
    small = _shrink(columns, 16)
    assert small.shape == (1, 1, 16, 16)
    # Lines of one pixel become even grey; without averaging they would become other lines.
    torch.testing.assert_close(small[..., 2:-2], torch.full((1, 1, 16, 12), 0.5), atol=0.06, rtol=0)


def test_the_network_meets_faces_of_the_epochs_size() -> None:
    recipe = dataclasses.replace(TINY_RECIPE, epochs=4, first_size_px=16, growing_share=1.0)
    module = make_module(recipe).train()
    seen: list[int] = []
    module.network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    for epoch in range(4):
        step_of(module, epoch, 0)
    assert seen == [16, 16, 32, 32]
    seen.clear()
    step_of(module, 4, 0)
    assert seen == [48]


def test_only_convolution_weights_decay() -> None:
    module = make_module()
    decayed, plain = module.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (TINY_RECIPE.weight_decay, 0)
    assert all(parameter.ndim == 4 for parameter in decayed["params"])
    assert all(parameter.ndim == 1 for parameter in plain["params"])
    trained = {id(parameter) for parameter in module.network.parameters()}
    assert {id(p) for p in [*decayed["params"], *plain["params"]]} == trained


def test_the_moving_average_warms_up_and_copies_counters() -> None:
    update = _moving_average(0.9)
    mean, counter = torch.zeros(3), torch.tensor(0)
    update([mean, counter], [torch.ones(3), torch.tensor(7)], torch.tensor(1))
    # The decay after one step is 2 / 11.
    torch.testing.assert_close(mean, torch.full((3,), 9 / 11))
    assert int(counter) == 7
    update([mean], [torch.ones(3)], torch.tensor(10_000))
    torch.testing.assert_close(mean, torch.full((3,), 9 / 11 * 0.9 + 0.1))


def test_averaged_weights_follow_the_trained_ones_statistics_included() -> None:
    module = make_module()
    before = {name: value.clone() for name, value in module.averaged.module.state_dict().items()}
    module.on_train_batch_end()  # the first takes the weights as they are
    with torch.no_grad():
        for value in [*module.network.parameters(), *module.network.buffers()]:
            value.add_(1)
    module.on_train_batch_end()
    for name, value in module.averaged.module.state_dict().items():
        step = 1 if value.dtype == torch.int64 else 9 / 11
        torch.testing.assert_close(value, before[name] + step, msg=name)


def make_batch(count: int, seed: int = 0) -> FaceBatch:
    generator = torch.Generator().manual_seed(seed)
    return FaceBatch(
        images=torch.rand(count, 1, 48, 48, generator=generator),
        ferplus_shares=torch.eye(8)[torch.randint(8, (count,), generator=generator)],
        fer2013_shares=torch.eye(7)[torch.randint(7, (count,), generator=generator)],
        face_shares=torch.ones(count),
    )


def step_of(module: ExpressionModule, epoch: int, batch_index: int) -> torch.Tensor:
    """Run one step as a trainer in that epoch would."""
    module.trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    module.trainer.fit_loop.epoch_progress.current.completed = epoch
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    return module.training_step(make_batch(8), batch_index)


def test_a_steps_loss_follows_from_seed_epoch_and_batch_alone() -> None:
    module = make_module().train()
    torch.manual_seed(1)
    first = step_of(module, 2, 3)
    torch.manual_seed(2)
    assert torch.equal(step_of(make_module().train(), 2, 3), first)
    for epoch, batch_index in ((2, 4), (3, 3)):
        assert not torch.equal(step_of(make_module().train(), epoch, batch_index), first)


def test_labels_that_are_not_known_add_nothing_to_the_loss() -> None:
    recipe = dataclasses.replace(TINY_RECIPE, fer2013_weight=0.0, face_weight=0.0)
    module = make_module(recipe).train()
    module.trainer = None
    batch = make_batch(8)._replace(ferplus_shares=torch.zeros(8, 8))
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    assert float(module.training_step(batch, 0).detach()) == 0


def test_validation_measures_what_its_names_say() -> None:
    module = make_module()
    logged: dict[str, torch.Tensor] = {}
    module.log_dict = lambda values, **_: logged.update(values)  # type: ignore[method-assign]
    # Votes: six neutral, two fear, one without any. Balanced logits say fear for two of the
    # neutral ones, but by less than neutral is commoner (3 : 1).
    neutral, fear = 5, 3
    shares = torch.eye(8)[[neutral] * 6 + [fear] * 2 + [0]]
    shares[8] = 0
    logits = torch.full((9, 8), -9.0)
    logits[:, neutral] = torch.tensor([2.0] * 4 + [0.0] * 2 + [0.0] * 2 + [0.0])
    logits[:, fear] = torch.tensor([0.0] * 4 + [1.0] * 2 + [4.0, 0.5] + [9.0])
    output = CompactNetOutput(logits, torch.zeros(9, 7), torch.zeros(9))
    batch = make_batch(9)._replace(ferplus_shares=shares)
    module._validation = [
        (CompactNetOutput(*(part[rows] for part in output)), FaceBatch(*(p[rows] for p in batch)))
        for rows in (slice(0, 5), slice(5, 9))
    ]
    module.on_validation_epoch_end()
    # log 3 = 1.1: neutral wins where fear leads by 1 or 0.5.
    assert float(logged["validation_accuracy"]) == pytest.approx(7 / 8)
    assert float(logged["validation_balanced_recall"]) == pytest.approx((4 / 6 + 1) / 2)
    assert module._validation == []
