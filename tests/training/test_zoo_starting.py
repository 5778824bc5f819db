"""Starting from a bundle: what its exporter folded and renamed says the same in a network again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from emotrace.bundle import DEFAULT_BUNDLE, load_bundle
from emotrace.errors import InputError, UsageError
from emotrace.models.compact_networks import COMPACT
from emotrace.models.folded_norms import norms_after, settle_norms
from emotrace.models.onnx_export import export_onnx, write_onnx
from emotrace.models.onnx_weights import read_onnx_weights
from emotrace.models.zoo import find_architecture
from emotrace.training.starting import build_network, settle_folded_norms
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.recipe import (
    DataSettings,
    MachineSettings,
    OptimiserSettings,
    StartSettings,
    ZooRecipe,
)
from emotrace.training.zoo.run import load_trained
from tests.models.small_options import build_used, outputs_of, random_inputs, small_options
from tests.training.tiny_zoo import write_cache

if TYPE_CHECKING:
    from emotrace.models.architecture import Architecture, Network
    from emotrace.models.initialisation import InitialisationReport


def start_from(
    path: Path, row: Architecture, options: Any = None
) -> tuple[Network, InitialisationReport]:
    recipe = ZooRecipe(
        architecture=row.name,
        options=options or small_options(row),
        data=DataSettings(data=Path("none")),
        start=StartSettings(initialise_from=path),
    )
    torch.manual_seed(99)
    network, (report,) = build_network(recipe, row)
    return network, report


def exported(row: Architecture, folder: Path) -> tuple[Network, Path]:
    network = build_used(row)
    export_onnx(network, row, small_options(row), folder / "model.onnx")
    return network, folder / "model.onnx"


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    return exported(COMPACT, tmp_path_factory.mktemp("stills"))


def test_a_network_for_stills_started_from_its_export_says_the_same(
    stills: tuple[Network, Path],
) -> None:
    expect_the_same(COMPACT, *stills, folded=9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("compact-gru", 9),
        ("timm-lstm", 15),
        ("rangulov2020-cnn-gru3", 0),
        ("vectors-transformer", 0),
    ],
)
def test_a_network_over_time_started_from_its_export_says_the_same(
    name: str, folded: int, tmp_path: Path
) -> None:
    row = find_architecture(name)
    expect_the_same(row, *exported(row, tmp_path), folded=folded)


def expect_the_same(row: Architecture, source: Network, path: Path, *, folded: int) -> None:
    network, report = start_from(path, row)
    inputs = random_inputs(row, small_options(row), batch=3)
    with torch.inference_mode():
        expected, found = outputs_of(source, inputs), outputs_of(network.eval(), inputs)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert len(report.folded_norms) == folded
    # Counts of batches seen are no weights, and in no file.
    assert [t.name for t in report.kept if not t.name.endswith(("tracked", ".distance"))] == []


def test_a_bundle_may_be_given_by_its_name() -> None:
    by_name, _ = start_from(Path(DEFAULT_BUNDLE), COMPACT, COMPACT.options())
    by_place, _ = start_from(load_bundle(DEFAULT_BUNDLE).folder, COMPACT, COMPACT.options())
    found, expected = by_name.state_dict(), by_place.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(InputError, match="expected a file of weights at nobody"):
        start_from(Path("nobody"), COMPACT, COMPACT.options())


def test_the_trunk_of_the_default_bundle_is_that_of_a_compact_network() -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    network, report = start_from(bundle.folder, COMPACT, COMPACT.options())
    weights = read_onnx_weights(bundle.folder / "model.onnx")
    head = network.get_submodule("head.expression")
    assert isinstance(head, nn.Conv2d)
    with torch.no_grad():
        head.weight.copy_(weights["ferplus_head.weight"])
        assert head.bias is not None
        head.bias.copy_(weights["ferplus_head.bias"])
    faces = np.random.default_rng(0).random((4, 1, 48, 48), np.float32)
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(faces)).numpy()
    np.testing.assert_allclose(found, bundle.score_pixels(faces)["ferplus_logits"], atol=1e-3)
    assert {t.source_name.partition(".")[0] for t in report.left} == {
        "ferplus_head",
        "fer2013_head",
        "face_head",
    }
    assert {t.name.partition(".")[0] for t in report.kept if "tracked" not in t.name} == {"head"}


def test_the_report_says_in_words_what_was_folded(stills: tuple[Network, Path]) -> None:
    _, report = start_from(stills[1], COMPACT)
    first, second, *rest = str(report).splitlines()
    assert "took 36 of 36 tensors, for 72 of the network's 73" in first
    assert first.endswith("; 9 batch norms were folded in the file")
    assert "In evaluation the network says what the file's does" in second
    assert rest == ["  kept as it was: extractor.stem.0.num_batches_tracked single value"]
    row = ("folded in the file", "extractor.stem.2", "network.extractor.stem.1.bias", "")
    assert row in report.rows()


def test_a_settled_norm_says_in_training_what_it_says_in_evaluation() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=0.0), nn.ReLU())
    assert norms_after(network, torch.zeros(1, 2, 5, 5)) == {"0": "1"}
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        norm.bias.uniform_(-1, 1)
    batches = [torch.rand(4, 2, 9, 9) for _ in range(2)]
    whole = torch.cat(batches)
    with torch.no_grad():
        expected = network.eval()(whole)
        far = (network.train()(whole) - expected).abs().max()
        settle_norms(network, ["1"], batches)
        torch.testing.assert_close(network.eval()(whole), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(network.train()(whole), expected, atol=1e-5, rtol=1e-5)
    assert far > 0.1
    assert network.training


def test_a_network_goes_on_from_a_bundle_as_it_was(stills: tuple[Network, Path]) -> None:
    """In training, where a norm takes its scale from the batch: nearly; without settling: no."""
    source, path = stills
    network, report = start_from(path, COMPACT)
    faces = random_inputs(COMPACT, small_options(COMPACT), batch=16)
    with torch.no_grad():
        expected = source.eval()(faces)
        before = (network.train()(faces) - expected).abs().mean()
        network, report = start_from(path, COMPACT)
        settle_folded_norms(network, [report], iter([faces]))
        torch.testing.assert_close(network.eval()(faces), expected, atol=1e-3, rtol=1e-3)
        after = (network.train()(faces) - expected).abs().mean()
    assert after < before / 3


def test_an_export_whose_names_are_lost_is_refused_with_the_way_out(tmp_path: Path) -> None:
    row = COMPACT
    path = tmp_path / "model.onnx"
    write_onnx(
        build_used(row),
        (random_inputs(row, small_options(row), batch=2),),
        path,
        input_names=["faces"],
        output_names=["outputs"],
        is_new=False,
    )
    with pytest.raises(UsageError, match=r"older exporter has renamed .* give the run"):
        start_from(path, row)


def test_another_architecture_is_refused(stills: tuple[Network, Path]) -> None:
    row = find_architecture("timm-image")
    options = replace(small_options(row), input_channels=1)
    with pytest.raises(UsageError, match="another architecture"):
        start_from(stills[1], row, options)


def test_training_from_a_bundle_fits_its_norms_to_the_data_and_says_so(
    stills: tuple[Network, Path], tmp_path: Path
) -> None:
    options = replace(small_options(COMPACT), classes=3)
    data = DataSettings(
        data=write_cache(tmp_path / "data"), protocol="holdout", validation_share=0.34
    )
    recipe = ZooRecipe(
        architecture=COMPACT.name,
        options=options,
        data=data,
        start=StartSettings(initialise_from=stills[1]),
        optimiser=OptimiserSettings(learning_rate=1e-9),
        machine=MachineSettings(accelerator="cpu", threads=1),
        epochs=1,
        batch_size=24,
    )
    report = fit_zoo(recipe, tmp_path / "run")
    assert "9 batch norms were folded in the file" in report.notices[0]
    assert "a run's checkpoint still has them" in (tmp_path / "run/initialisation.txt").read_text()
    trained = load_trained(tmp_path / "run", which="last").network.eval()
    faces = torch.rand(8, 1, 16, 16)
    with torch.no_grad():
        expected = stills[0].eval().get_submodule("extractor")(faces)
        found = trained.get_submodule("extractor")(faces)
    # Not trained at all, but for the averages, which now follow the batches.
    gap = float((found - expected).abs().mean() / expected.abs().mean())
    assert gap < 0.05
