"""Reading weights: every kind of file by its content, and nothing that would run code."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from emotrace.errors import InputError
from emotrace.models.weight_files import read_weights


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).state_dict())


def expect_same(path: Path) -> None:
    found, expected = read_weights(path), weights()
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.ckpt", "weights"])
def test_a_safetensors_file_by_any_name(tmp_path: Path, name: str) -> None:
    save_file(weights(), tmp_path / name)
    expect_same(tmp_path / name)


@pytest.mark.parametrize("first", [b"\x80", b"P"])
def test_a_safetensors_file_that_begins_like_another(tmp_path: Path, first: bytes) -> None:
    """Its first bytes are a length, which by chance are those of a pickle."""
    for padding in range(4096):
        save_file(weights(), tmp_path / "x", metadata={"note": " " * padding})
        if (tmp_path / "x").read_bytes()[:1] == first:
            break
    else:
        pytest.fail("no length came out as wanted")
    expect_same(tmp_path / "x")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_a_state_dict_bare_or_below_a_key(tmp_path: Path, zipped: bool, key: str | None) -> None:
    content = weights() if key is None else {key: weights(), "epoch": 3, "best": torch.zeros(())}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    expect_same(tmp_path / "x.pt")


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(3, 2)


def test_a_checkpoint_of_lightning(tmp_path: Path) -> None:
    module = Module()
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False
    )
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    found = read_weights(tmp_path / "last.ckpt")
    assert set(found) == {"network.weight", "network.bias"}
    assert torch.equal(found["network.weight"], module.network.weight)


class RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_a_file_that_would_run_code_is_refused_and_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": weights(), "extra": RunsCode()}, "x.ckpt")
    with pytest.raises(InputError, match=r"expected nothing but tensors.*x\.ckpt.*would run code"):
        read_weights("x.ckpt")
    Path("bare.pkl").write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(InputError, match=r"bare\.pkl"):
        read_weights("bare.pkl")
    assert not Path("ran").exists()


def test_files_that_hold_no_weights_are_clear_errors(tmp_path: Path) -> None:
    def expect(name: str, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_weights(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)

    expect("missing.pt", "expected a file of weights at .*FileNotFoundError")
    (tmp_path / "empty").touch()
    expect("empty", "got none of them")
    (tmp_path / "text.safetensors").write_text(json.dumps({"a": 1}))
    expect("text.safetensors", "got none of them")
    save_file({}, tmp_path / "none.safetensors")
    expect("none.safetensors", "empty safetensors file")
    torch.save({"epoch": 3}, tmp_path / "epoch.ckpt")
    expect("epoch.ckpt", r"below one of state_dict, .*got the keys \['epoch'\]")
    torch.save([1, 2], tmp_path / "list.pt")
    expect("list.pt", "got list")
    torch.save(weights(), tmp_path / "cut.pt")
    whole = (tmp_path / "cut.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    expect("cut.pt", "got a damaged one or another kind")
    with pytest.raises(InputError, match="IsADirectoryError"):
        read_weights(tmp_path)
