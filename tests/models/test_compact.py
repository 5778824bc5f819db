"""CompactNet: what goes in, what comes out, what learns."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from emotrace.errors import UsageError
from emotrace.models.compact import CompactNet, ResidualBlock, StandardisingNorm
from emotrace.models.compact_options import CompactNetOptions

SMALL = CompactNetOptions(stem_width=4, widths=(8, 12), blocks=(2, 1))


def small_net(**changes: float) -> CompactNet:
    torch.manual_seed(0)
    return CompactNet(dataclasses.replace(SMALL, **changes))  # type: ignore[arg-type]


def test_the_default_network_has_the_size_that_the_card_states() -> None:
    network = CompactNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_541_478
    assert len([module for module in network.modules() if isinstance(module, ResidualBlock)]) == 9


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [48, 96])
def test_a_head_for_each_label_set_and_one_for_faces(batch: int, size: int) -> None:
    output = small_net().eval()(torch.rand(batch, 1, size, size))
    assert output.ferplus_logits.shape == (batch, 8)
    assert output.fer2013_logits.shape == (batch, 7)
    assert output.face_logit.shape == (batch,)


def test_options_shape_the_network() -> None:
    options = dataclasses.replace(SMALL, input_channels=3, ferplus_classes=5, fer2013_classes=4)
    output = CompactNet(options).eval()(torch.rand(2, 3, 48, 48))
    assert [tuple(part.shape) for part in output] == [(2, 5), (2, 4), (2,)]
    with pytest.raises(ValueError, match="zip"):
        CompactNet(dataclasses.replace(SMALL, widths=(8,)))


@pytest.mark.parametrize(("first_stride", "sides"), [(2, [24, 12]), (1, [48, 24])])
def test_the_first_stage_may_keep_the_whole_picture(first_stride: int, sides: list[int]) -> None:
    network = small_net(first_stride=first_stride).eval()
    faces = torch.rand(2, 1, 48, 48)
    features, seen = network.stem(faces), []
    for block in network.trunk:
        features = block(features)
        seen.append(features.shape[-1])
    assert sorted(set(seen), reverse=True) == sides
    assert network(faces).ferplus_logits.shape == (2, 8)


def test_a_first_stride_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="expected first_stride to be 1 or 2; got 3"):
        small_net(first_stride=3)


def test_in_evaluation_a_face_does_not_depend_on_its_neighbours() -> None:
    network = small_net().eval()
    faces = torch.rand(5, 1, 48, 48)
    with torch.inference_mode():
        together = network(faces)
        for at in range(5):
            alone = network(faces[at : at + 1])
            for one, many in zip(alone, together, strict=True):
                torch.testing.assert_close(one[0], many[at], rtol=1e-5, atol=1e-6)


def test_gradients_reach_every_parameter() -> None:
    network = small_net(drop_path=0.0)
    output = network(torch.rand(4, 1, 48, 48))
    loss = sum(part.square().sum() for part in output)
    assert isinstance(loss, torch.Tensor)
    torch.autograd.backward(loss)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


@pytest.mark.parametrize("kind", ["dropout", "drop_path"])
def test_what_is_dropped_is_dropped_in_training_only(kind: str) -> None:
    off = {"dropout": 0.0, "drop_path": 0.0}
    network = small_net(**{**off, kind: 0.5})
    faces = torch.rand(16, 1, 48, 48)

    def differs() -> bool:
        first, second = network(faces), network(faces)
        return not torch.equal(first.ferplus_logits, second.ferplus_logits)

    with torch.no_grad():
        network.train()
        assert differs()
        network.eval()
        assert not differs()
        plain = small_net(**off)
        plain.load_state_dict(network.state_dict())
        expected = plain.eval()(faces)
        torch.testing.assert_close(network(faces).ferplus_logits, expected.ferplus_logits)
        plain.train()
        assert torch.equal(plain(faces).face_logit, plain(faces).face_logit)


def test_a_skipped_block_passes_its_input_on_and_a_kept_one_makes_up_for_it() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(8, 8, stride=1, squeeze_ratio=8, drop_path=0.25).train()
    features = torch.rand(400, 8, 4, 4)
    with torch.no_grad():
        out = block(features)
        branch = block.branch(features)
    skipped = torch.tensor([torch.equal(a, b) for a, b in zip(out, features, strict=True)])
    assert 0.15 < float(skipped.float().mean()) < 0.35
    kept = ~skipped
    torch.testing.assert_close(out[kept], torch.relu(features + branch / 0.75)[kept])


def test_later_blocks_are_skipped_more_often() -> None:
    rates = [
        module.drop_path for module in CompactNet().modules() if isinstance(module, ResidualBlock)
    ]
    assert rates == pytest.approx(
        [CompactNetOptions().drop_path * step / 9 for step in range(1, 10)]
    )


def test_standardised_pictures_have_one_mean_and_nearly_one_deviation() -> None:
    norm = StandardisingNorm(2).eval()
    pictures = torch.rand(5, 2, 8, 8) * torch.rand(5, 2, 1, 1) + torch.rand(5, 2, 1, 1)
    out = norm(pictures)
    torch.testing.assert_close(out.mean(dim=(2, 3)), torch.zeros(5, 2), atol=1e-5, rtol=0)
    spread = pictures.std(dim=(2, 3), correction=0)
    expected = spread / (spread + 0.03)
    torch.testing.assert_close(out.std(dim=(2, 3), correction=0), expected, atol=1e-4, rtol=0)


def test_a_standardised_network_hardly_sees_exposure() -> None:
    torch.manual_seed(0)
    faces = torch.rand(6, 1, 48, 48)
    darker = faces * 0.6 + 0.1
    moved = []
    for standardised in (False, True):
        network = small_net(standardised=standardised).eval()
        with torch.inference_mode():
            # Its norms learn the statistics of these faces; else all answers are alike.
            network.train()(faces)
            network.eval()
            gap = network(faces).ferplus_logits - network(darker).ferplus_logits
            among = network(faces).ferplus_logits.std(dim=0).mean()
        moved.append(float(gap.abs().mean() / among))
    assert moved[1] < 0.2 * moved[0]


def test_a_picture_of_one_grey_gives_nothing_large() -> None:
    norm = StandardisingNorm(1).train()
    pictures = torch.full((2, 1, 8, 8), 0.7)
    out = norm(pictures)
    assert bool((out.abs() < 1e-3).all())


def test_networks_with_and_without_standardising_take_each_other_s_weights() -> None:
    assert small_net(standardised=True).state_dict().keys() == small_net().state_dict().keys()
