"""Starting from weights: what fits is taken, the rest is reported, what does not fit refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from emotrace.errors import DownloadError, InputError, UsageError
from emotrace.models.compact import CompactNet
from emotrace.models.compact_networks import (
    CompactOptions,
    CompactSequenceOptions,
    build_compact,
    build_compact_sequence,
)
from emotrace.models.composition import PictureNetwork, PictureSequenceNetwork
from emotrace.models.initialisation import (
    initialise_from_file,
    initialise_from_imagenet,
    initialise_from_weights,
)
from emotrace.models.timm_backbones import (
    TimmOptions,
    TimmSequenceOptions,
    build_timm,
    build_timm_sequence,
)
from emotrace.models.vectors import VectorLstmOptions, VectorOptions, build_vectors

if TYPE_CHECKING:
    from torch import Tensor, nn

SMALL: dict[str, Any] = {"stem_width": 4, "widths": (8, 12), "blocks": (2, 1)}


def compact(seed: int = 0, **changes: Any) -> PictureNetwork:
    torch.manual_seed(seed)
    return build_compact(CompactOptions(**SMALL, **changes))


def compact_gru(seed: int = 0, **changes: Any) -> PictureSequenceNetwork:
    torch.manual_seed(seed)
    return build_compact_sequence(CompactSequenceOptions(**SMALL, width=6, **changes))


def saved(network: nn.Module, path: Path) -> Path:
    save_file({name: value.clone() for name, value in network.state_dict().items()}, path)
    return path


def expect_equal(network: nn.Module, weights: dict[str, Tensor]) -> None:
    state = network.state_dict()
    for name, value in weights.items():
        assert torch.equal(state[name], value), name


def test_a_file_of_the_same_network_is_taken_whole(tmp_path: Path) -> None:
    source, network = compact(seed=1), compact()
    report = initialise_from_file(network, saved(source, tmp_path / "w.safetensors"))
    expect_equal(network, dict(source.state_dict()))
    assert (report.left, report.kept) == ((), ())
    assert len(report.taken) == len(source.state_dict())
    assert (report.source_prefix, report.prefix) == ("", "")
    assert str(report).count("\n") == 0
    assert "took 73 of 73 tensors, for 73 of the network's 73" in str(report)


def test_extractor_and_layers_over_time_come_from_two_files(tmp_path: Path) -> None:
    stills = compact(seed=1, heads=("valence_arousal",))
    torch.manual_seed(2)
    vectors = build_vectors(VectorOptions(features=12, width=6))
    network = compact_gru()
    first = initialise_from_file(network, saved(stills, tmp_path / "a"))
    second = initialise_from_file(network, saved(vectors, tmp_path / "b"))
    expect_equal(
        network, {k: v for k, v in stills.state_dict().items() if k.startswith("extractor.")}
    )
    expect_equal(network, dict(vectors.state_dict()))
    assert {t.source_name for t in first.left} == {
        "head.valence_arousal.weight",
        "head.valence_arousal.bias",
    }
    assert {t.name.partition(".")[0] for t in first.kept} == {"temporal", "head"}
    assert second.left == ()
    assert {t.name.partition(".")[0] for t in second.kept} == {"extractor"}


def test_a_head_of_other_classes_stays_as_it_was_and_is_reported() -> None:
    source, network = compact(seed=1, classes=7), compact()
    before = {k: v.clone() for k, v in network.state_dict().items() if k.startswith("head.")}
    report = initialise_from_weights(network, source.state_dict(), source="seven classes")
    expect_equal(network, before)
    assert [(t.source_name, t.shape, t.wanted_shape, t.reason) for t in report.left] == [
        ("head.expression.weight", (7, 12, 1, 1), (8, 12, 1, 1), "another shape"),
        ("head.expression.bias", (7,), (8,), "another shape"),
    ]
    text = str(report)
    assert "seven classes: took 71 of 73 tensors" in text
    assert "left: another shape: head.expression.weight 7 x 12 x 1 x 1, not 8 x 12 x 1 x 1" in text
    assert "kept as it was: head.expression.bias 8" in text
    rows = report.rows()
    assert len(rows) == 71 + 2 + 2
    assert rows[0][0] == "taken"


def test_a_checkpoint_of_training_gives_its_averaged_weights(tmp_path: Path) -> None:
    """The default recipe's: the network as trained and its average, below different prefixes."""
    torch.manual_seed(1)
    options = CompactOptions(**SMALL).trunk()
    last, averaged = CompactNet(options).state_dict(), CompactNet(options).state_dict()
    checkpoint = {
        "epoch": 3,
        "state_dict": {f"network.{name}": value for name, value in last.items()}
        | {"averaged.n_averaged": torch.tensor(9)}
        | {f"averaged.module.{name}": value for name, value in averaged.items()}
        | {"ferplus_log_prior": torch.zeros(8)},
        "optimizer_states": [{"state": {}, "param_groups": []}],
    }
    torch.save(checkpoint, tmp_path / "last.ckpt")
    for network in (compact(), compact_gru()):
        report = initialise_from_file(network, tmp_path / "last.ckpt")
        assert (report.source_prefix, report.prefix) == ("averaged.module.", "extractor.")
        expect_equal(
            network,
            {
                f"extractor.{k}": v
                for k, v in averaged.items()
                if not k.partition(".")[0].endswith("head")
            },
        )
        lines = str(report).splitlines()
        assert lines[0].endswith("(averaged.module. as extractor.)")
        assert "  left: outside the prefix: network.* (77 tensors)" in lines
        assert "  left: no such name: averaged.module.face_head.bias 1" in lines
        assert "  kept as it was: head.expression.bias 8" in lines


def test_prefixes_can_be_given(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole, network = CompactNet(CompactOptions(**SMALL).trunk()), compact()
    path = saved(whole, tmp_path / "w")
    initialise_from_file(network, path, prefix="extractor.")
    report = initialise_from_file(
        network, path, source_prefix="ferplus_head.", prefix="head.expression."
    )
    assert len(report.taken) == 2
    faces = torch.rand(2, 1, 48, 48)
    with torch.inference_mode():
        found = network.eval()(faces)
        torch.testing.assert_close(found, whole.eval()(faces).ferplus_logits)


def test_a_part_of_a_network_can_be_started_from_the_whole(tmp_path: Path) -> None:
    source = compact_gru(seed=1)
    trunk = compact().extractor
    report = initialise_from_file(trunk, saved(source, tmp_path / "w"))
    assert (report.source_prefix, report.prefix, report.kept) == ("extractor.", "", ())
    expect_equal(trunk, dict(source.extractor.state_dict()))


def test_half_precision_is_widened(tmp_path: Path) -> None:
    source, network = compact(seed=1).half(), compact()
    initialise_from_file(network, saved(source, tmp_path / "w"))
    weight = network.get_parameter("head.expression.weight")
    assert weight.dtype == torch.float32
    assert torch.equal(weight, source.get_parameter("head.expression.weight").float())


def other_architectures() -> list[tuple[nn.Module, nn.Module]]:
    torch.manual_seed(3)
    lstm = build_vectors(VectorLstmOptions(features=12, width=6))
    return [
        (compact(), timm.create_model("test_resnet")),
        (build_timm(TimmOptions(backbone="test_resnet")), timm.create_model("test_convnext")),
        (build_timm(TimmOptions(backbone="test_resnet")), compact()),
        (build_vectors(VectorOptions(features=12, width=6)), lstm),
        (compact(), build_compact(CompactOptions(**SMALL | {"widths": (16, 24)}))),
    ]


@pytest.mark.parametrize("pair", range(5))
def test_a_checkpoint_of_another_architecture_is_refused(pair: int) -> None:
    network, other = other_architectures()[pair]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UsageError, match=r"got those of another architecture in x: .* values fit"):
        initialise_from_weights(network, other.state_dict(), source="x")
    expect_equal(network, before)


def test_given_prefixes_that_fit_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="another architecture in x: 0 of its"):
        initialise_from_weights(compact(), compact().state_dict(), source="x", prefix="nowhere.")


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt"):
        initialise_from_file(compact(), tmp_path / "none.pt")


def test_imagenet_weights_come_through_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    fetched = timm.create_model("test_resnet").state_dict()

    def fetch(*_: Any, **__: Any) -> dict[str, Tensor]:
        return dict(fetched)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fetch)
    network = build_timm_sequence(TimmSequenceOptions(backbone="test_resnet", input_size_px=32))
    (report,) = initialise_from_imagenet(network)
    assert report.left == ()
    assert report.source == "timm test_resnet"
    assert {t.name.partition(".")[0] for t in report.kept} == {"temporal", "head"}
    for name, value in network.get_submodule("extractor.backbone").state_dict().items():
        assert torch.equal(value, fetched[name]), name


def test_imagenet_weights_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="expected a network on a backbone of timm"):
        initialise_from_imagenet(compact())

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("offline")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    with pytest.raises(DownloadError, match="offline"):
        initialise_from_imagenet(build_timm(TimmOptions(backbone="test_resnet")))


def test_a_file_of_timms_own_finds_the_backbone(tmp_path: Path) -> None:
    """What someone without a connection does: bring the file, with its classifier."""
    torch.manual_seed(5)
    source = timm.create_model("test_resnet")
    network = build_timm(TimmOptions(backbone="test_resnet"))
    report = initialise_from_file(network, saved(source, tmp_path / "model.safetensors"))
    assert (report.source_prefix, report.prefix) == ("", "extractor.backbone.")
    assert {t.source_name for t in report.left} == {"fc.weight", "fc.bias"}
