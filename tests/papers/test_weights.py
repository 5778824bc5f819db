"""Weights of others: the user's file, a download that fails, a file that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from emotrace.errors import DownloadError, InputError, UsageError
from emotrace.papers import weights
from emotrace.papers.plan import Paper, PaperWeights, StartingWeights, Step
from emotrace.papers.report import Report
from emotrace.papers.reproduce import reproduce
from emotrace.papers.supply import DataNotGivenError
from emotrace.papers.weights import fetch_weights
from emotrace.papers.workshop import Order, Workshop

if TYPE_CHECKING:
    from pathlib import Path

STEP = StartingWeights(key="start", weights="theirs", backbone="test_resnet")
PAPER = Paper(
    name="weighty",
    title="Weights alone",
    citation="Nobody (2000)",
    datasets=(),
    weights=(
        PaperWeights(
            name="theirs", title="Weights", role="a start", obtain="ask them", licence="none"
        ),
    ),
    plan=lambda _: (STEP,),
    report=lambda _: Report(sections=()),
    scales={"smoke": "tiny"},
)


def order(out: Path, **data: Path) -> Order:
    return Order(paper=PAPER, scale="smoke", out=out, data=data, synthetic=True)


def refuse(*_: Any, **__: Any) -> None:
    raise DownloadError("no network")


def test_the_users_file_goes_before_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "create_backbone", refuse)
    layer = torch.nn.Linear(3, 2)
    torch.save(layer.state_dict(), tmp_path / "theirs.pt")
    workshop = Workshop(order(tmp_path / "out", theirs=tmp_path / "theirs.pt"))
    facts = fetch_weights(STEP, workshop)
    assert facts == {"weights": "theirs", "source": "theirs.pt", "tensors": 2, "values": 8}
    kept = load_file(workshop.start_of(STEP.key))
    assert torch.equal(kept["weight"], layer.weight)
    assert workshop.start_of("another/run") == workshop.run("another/run")


def test_what_cannot_be_downloaded_is_left_out_with_a_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "create_backbone", refuse)
    done = reproduce(order(tmp_path / "out"))
    assert not done.failed
    (left,) = done.skipped
    assert "ask them; then --data theirs=FILE" in left.reason
    assert "test_resnet could not be downloaded" in left.reason
    only_file = StartingWeights(key="start", weights="theirs")
    with pytest.raises(DataNotGivenError, match="theirs is not given; ask them"):
        fetch_weights(only_file, Workshop(order(tmp_path / "out")))


def test_a_file_that_holds_no_weights_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "theirs.pt").write_text("nothing of the kind")
    workshop = Workshop(order(tmp_path / "out", theirs=tmp_path / "theirs.pt"))
    with pytest.raises(InputError, match=r"theirs\.pt"):
        fetch_weights(STEP, workshop)
    assert not workshop.weights(STEP.key).exists()


def test_names_are_those_of_data_sets_and_weights() -> None:
    PAPER.require_name("theirs")
    with pytest.raises(UsageError, match="expected a data set of weighty"):
        PAPER.require_name("others")


def test_only_weights_that_are_optional_may_lack() -> None:
    assert Step(key="a").spares == ()
