"""In which order examples are met: balanced, repeated, shared between processes, gone on with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import TrainingError, UsageError
from emotrace.models.architecture import InputKind
from emotrace.training.examples import CacheSource, Examples, RowNames
from emotrace.training.sampling import (
    SamplingSettings,
    draw_epoch,
    evaluation_loader,
    example_groups,
    training_loader,
)
from emotrace.training.zoo.data import ZooData, load_data
from tests.training.tiny_zoo import IMAGE, tiny_recipe, write_cache


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of eight frames; frame 5 is missing in all."""
    return write_cache(tmp_path_factory.mktemp("tiny"), gap_at=5)


def load(folder: Path, row: Any, **changes: Any) -> ZooData:
    recipe = tiny_recipe(row, folder, **changes)
    return load_data(recipe, kind=row.kind, heads=row.build(recipe.options).heads)


def numbered(classes: list[int], subjects: Sequence[str | None] | None = None) -> Examples:
    """Pictures of which only class and subject matter, one a video."""
    count = len(classes)
    rows = np.arange(count)
    return Examples(
        kind=InputKind.IMAGE,
        source=CacheSource(None),  # type: ignore[arg-type]
        names=RowNames(
            videos=[str(at) for at in range(count)],
            video=rows,
            frame=np.zeros(count, np.int64),
            face=np.ones(count, np.int64),
            subjects=subjects or [None] * count,
        ),
        targets={},
        classes=np.array(classes),
        first=rows,
        steps=np.ones(count, np.int64),
    )


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 50))
def test_an_epoch_is_a_permutation_that_follows_from_seed_and_epoch(seed: int, epoch: int) -> None:
    examples = numbered([0] * 20)
    drawn = draw_epoch(examples, SamplingSettings(), seed=seed, epoch=epoch)
    assert sorted(drawn.tolist()) == list(range(20))
    again = draw_epoch(examples, SamplingSettings(), seed=seed, epoch=epoch)
    np.testing.assert_array_equal(drawn, again)
    other = draw_epoch(examples, SamplingSettings(), seed=seed, epoch=epoch + 1)
    assert drawn.tolist() != other.tolist()


def test_classes_and_subjects_can_be_met_equally_often() -> None:
    examples = numbered([0] * 15 + [1] * 4 + [-1], subjects=["a"] * 6 + ["b"] * 14)
    by_class = draw_epoch(examples, SamplingSettings(sampling="classes"), seed=0, epoch=0)
    assert Counter(examples.classes[by_class].tolist()) == {0: 10, 1: 10}
    by_subject = draw_epoch(examples, SamplingSettings(sampling="subjects"), seed=0, epoch=0)
    groups = example_groups(examples, "subjects")
    assert Counter(groups[by_subject].tolist()) == {0: 10, 1: 10}
    with pytest.raises(TrainingError, match="examples with known subjects to sample"):
        draw_epoch(numbered([0, 1]), SamplingSettings(sampling="subjects"), seed=0, epoch=0)


def test_repeated_examples_come_as_often_as_they_are_to() -> None:
    examples = replace(numbered([0, 1, 1]), repeats=np.array([3, 1, 0]))
    drawn = draw_epoch(examples, SamplingSettings(sampling="oversample"), seed=0, epoch=0)
    assert sorted(drawn.tolist()) == [0, 0, 0, 1]


def test_windows_of_rare_expressions_are_repeated(tmp_path: Path) -> None:
    folder = write_cache(
        tmp_path, emotions=("anger", "anger", "anger", "surprise"), clips=16, frames=4
    )
    sampling = SamplingSettings(
        sampling="oversample", oversampling_window=4, oversampling_repeats=3
    )
    data = load(folder, IMAGE, options={"classes": 2}, sampling=sampling)
    repeats = data.train.repeats
    assert repeats is not None
    is_rare = data.train.example_classes == 1
    assert set(repeats[is_rare].tolist()) == {3}
    assert set(repeats[~is_rare].tolist()) == {1}
    met = draw_epoch(data.train, sampling, seed=0, epoch=0)
    assert np.mean(data.train.example_classes[met] == 1) == pytest.approx(0.5)


def test_dense_valence_and_arousal_are_thinned_once(folder: Path) -> None:
    options = {"classes": 0, "values": 2}
    whole = load(folder, IMAGE, options=options).train
    sampling = SamplingSettings(density="midpoint")
    thinned = load(folder, IMAGE, options=options, sampling=sampling).train
    again = load(folder, IMAGE, options=options, sampling=sampling).train
    assert 0 < len(thinned) < len(whole)
    np.testing.assert_array_equal(thinned.first, again.first)
    with pytest.raises(UsageError, match="a head 'valence_arousal' of two values"):
        load(folder, IMAGE, sampling=sampling)


def loader_of(examples: Examples, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "batch_size": 6,
        "accumulation": 2,
        "seed": 1,
        "workers": 0,
        "rank": 0,
        "processes": 1,
    }
    return training_loader(examples, SamplingSettings(), **{**arguments, **changes})


def test_processes_share_every_batch_and_a_loader_goes_on_at_any_step(folder: Path) -> None:
    examples = load(folder, IMAGE).train
    whole = loader_of(examples)
    assert len(whole) == 6  # 42 examples make seven batches, of which six are whole steps
    parts = [loader_of(examples, rank=rank, processes=3) for rank in range(3)]
    for epoch in (0, 3):
        shares = zip(*(part.batches(epoch) for part in parts), strict=True)
        joined = [[at for share in batch for at in share] for batch in shares]
        assert joined == whole.batches(epoch)
    whole.set_epoch(3)
    seen = [batch.positions.tolist() for batch in whole]
    assert seen == whole.batches(3)
    later = loader_of(examples)
    iterator = iter(later)  # made before the epoch is known, as Lightning does
    later.load_state_dict({"step": 4})
    later.set_epoch(3)
    assert next(iterator).positions.tolist() == seen[4]
    assert later.state_dict() == {"step": 5}
    assert next(iterator).positions.tolist() == seen[5]
    assert [batch.positions.tolist() for batch in later] == seen


def test_evaluation_gives_every_example_once_and_fills_the_last_batch(folder: Path) -> None:
    examples = load(folder, IMAGE).train.select(np.arange(11))
    alone = evaluation_loader(examples, batch_size=4)
    assert [len(batch.positions) for batch in alone] == [4, 4, 3]
    shared = [
        evaluation_loader(examples, batch_size=4, rank=rank, processes=2) for rank in range(2)
    ]
    pairs = [
        first.positions.tolist() + second.positions.tolist()
        for first, second in zip(*shared, strict=True)
    ]
    assert pairs == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 10]]
