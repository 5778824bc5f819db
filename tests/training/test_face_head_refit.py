"""From files to a face head: which faces and footage are taken, and that the export can use it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emotrace.errors import DatasetError, InputError
from emotrace.models.compact import CompactNet
from emotrace.training.face_head import with_face_head
from emotrace.training.face_head_refit import footage_in, refit_from, sure_faces
from emotrace.training.not_face_crops import Footage
from tests.analysis.media import write_clip
from tests.datasets.fake_ferplus import write_fake_ferplus
from tests.training.tiny import TINY_NETWORK, make_split


def test_only_faces_that_nobody_doubted_are_taken() -> None:
    votes = [[10, 0, 0, 0, 0, 0, 0, 0, 0, doubts] for doubts in (0, 1, 0, 5, 0)]
    split = make_split(votes, [-1] * 5)
    assert np.array_equal(sure_faces(split), split.images[[0, 2, 4]])
    drawn = sure_faces(split, 2, seed=1)
    assert len(drawn) == 2
    assert np.array_equal(drawn, sure_faces(split, 2, seed=1))
    assert all(
        any(np.array_equal(one, other) for other in split.images[[0, 2, 4]]) for one in drawn
    )


def test_a_folder_of_footage_has_faces_to_be_found(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=2)
    (tmp_path / "notes.txt").write_text("no footage")
    assert footage_in(tmp_path) == [Footage(path=clip, has_faces=True)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        footage_in(tmp_path / "empty")


def test_a_network_gets_a_head_and_a_threshold_and_repeats_it(tmp_path: Path) -> None:
    write_fake_ferplus(tmp_path)
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    torch.manual_seed(0)
    network = CompactNet(TINY_NETWORK).eval()
    refit = refit_from(tmp_path, [Footage(path=clip)], folder=tmp_path, scenes=0, seed=3)
    fit = refit(network)
    assert 0 < fit.threshold <= 0.5
    assert fit.held_out["faces_lost"] <= 0.005
    assert "crops from 1 file of footage" in fit.learnt_from
    assert "crops from drawn scenes" not in fit.learnt_from  # there were none
    everything = sum(fit.learnt_from.values()) + fit.held_out["not_faces"]
    assert fit.learnt_from["parts of training faces"] > 0
    assert fit.held_out["not_faces"] == everything // 5
    assert torch.isfinite(with_face_head(network, fit)(torch.zeros(1, 1, 48, 48)).face_logit).all()
    again = refit(network)
    assert np.array_equal(again.weight, fit.weight)
    assert again.held_out == fit.held_out


def test_missing_data_is_said_when_it_is_needed(tmp_path: Path) -> None:
    refit = refit_from(tmp_path)
    with pytest.raises(DatasetError, match=r"ferplus\.parquet"):
        refit(CompactNet(TINY_NETWORK).eval())
