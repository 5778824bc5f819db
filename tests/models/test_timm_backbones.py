"""Backbones of timm: what they are fed, how wide they are, and weights that cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import pytest
import timm
import torch

from emotrace.errors import DownloadError, UsageError
from emotrace.models.cost import count_parameters
from emotrace.models.timm_backbones import (
    TimmExtractor,
    TimmOptions,
    TimmSequenceOptions,
    build_timm,
    build_timm_sequence,
)

if TYPE_CHECKING:
    from torch import Tensor


def tiny(name: str = "test_resnet", **settings: Any) -> TimmExtractor:
    """One of the networks that timm has for tests."""
    torch.manual_seed(0)
    settings = {"input_channels": 3, "input_size_px": 32} | settings
    return TimmExtractor(name, **settings).eval()


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv3_small_100",
        "test_efficientnet",
        "test_resnet",
        "test_convnext",
        "test_vit",  # is built for one size of picture
        "test_vit.r160_in1k",
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_as_many_as_it_says(name: str, channels: int) -> None:
    extractor = tiny(name, input_channels=channels, input_size_px=48)
    with torch.inference_mode():
        features = extractor(torch.rand(2, channels, 48, 48))
    assert features.shape == (2, extractor.feature_size)


def test_the_backbone_gets_what_its_weights_were_trained_on() -> None:
    extractor = tiny("mobilenetv3_small_100")
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    faces = torch.rand(2, 3, 32, 32)
    fed = torch.stack([(faces[:, at] - mean[at]) / deviation[at] for at in range(3)], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(extractor(faces), extractor.backbone(fed))


def test_grey_is_taken_off_the_mean_over_the_colours() -> None:
    standardise = tiny("mobilenetv3_small_100", input_channels=1).standardise
    torch.testing.assert_close(standardise.mean.flatten(), torch.tensor([0.449]))
    torch.testing.assert_close(standardise.deviation.flatten(), torch.tensor([0.226]))


def test_only_the_backbone_is_saved() -> None:
    """So that a file of timm's own fits below a prefix, and nothing is missing in it."""
    extractor = tiny()
    own = timm.create_model("test_resnet", num_classes=0).state_dict()
    assert set(extractor.state_dict()) == {f"backbone.{name}" for name in own}


def test_pretrained_weights_are_what_timm_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    fetched = timm.create_model("test_resnet").state_dict()  # with its classifier
    asked: list[Any] = []

    def fetch(*where: Any, **_: Any) -> dict[str, Tensor]:
        asked.append(where)
        return dict(fetched)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fetch)
    extractor = tiny(pretrained=True)
    assert len(asked) == 1
    for name, value in extractor.backbone.state_dict().items():
        assert torch.equal(value, fetched[name]), name
    grey = tiny(pretrained=True, input_channels=1).backbone.state_dict()
    first = next(name for name, value in grey.items() if value.ndim == 4)
    torch.testing.assert_close(grey[first], fetched[first].sum(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("name", "call", "error"),
    [
        ("test_resnet", "load_state_dict_from_hf", FileNotFoundError("not in the local cache")),
        ("legacy_xception", "load_state_dict_from_url", URLError("name not known")),
    ],
)
def test_weights_that_cannot_be_fetched_are_a_clear_error(
    name: str, call: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(f"timm.models._builder.{call}", fail)
    with pytest.raises(DownloadError, match=f"weights of '{name}'; got .*; go online.*pretrained"):
        tiny(name, pretrained=True)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet-18", {}, "got 'resnet-18': RuntimeError: Unknown model"),
        ("resnet18.nonsense", {}, r"Invalid pretrained tag \(nonsense\)"),
        ("test_resnet", {"no_such_setting": 1}, "unexpected keyword argument"),
    ],
)
def test_what_timm_cannot_build_is_a_clear_error(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        tiny(name, **settings)


def test_the_default_backbone_is_the_small_one() -> None:
    with torch.device("meta"):
        network = build_timm(TimmOptions())
    # MobileNetV3-Small has 2,542,856 with its classifier of 1,000 classes on 1,024 values.
    assert count_parameters(network.extractor) == 2_542_856 - 1_025 * 1_000
    assert network.extractor.feature_size == 1_024


def test_layers_over_time_read_the_features_of_each_picture() -> None:
    torch.manual_seed(0)
    options = TimmSequenceOptions(backbone="test_resnet", input_size_px=32, temporal="lstm")
    network = build_timm_sequence(options).eval()
    clips = torch.rand(2, 3, 3, 32, 32)
    with torch.inference_mode():
        vectors = torch.stack([network.features(clip) for clip in clips])
        steps, _ = network.temporal(vectors, network.initial_state(2))
        torch.testing.assert_close(network(clips).outputs, network.head(steps))


@pytest.mark.parametrize("options", [TimmOptions, TimmSequenceOptions])
def test_options_that_cannot_work_are_refused(options: type[TimmOptions]) -> None:
    with pytest.raises(UsageError, match="expected input_size_px of 1 or more; got 0"):
        options(input_size_px=0)
    with pytest.raises(UsageError, match="expected heads out of"):
        options(heads=("gaze",))  # type: ignore[arg-type]
