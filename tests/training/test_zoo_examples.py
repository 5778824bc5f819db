"""Examples: which frames they hold, what they are taught, in which order they are met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from emotrace.datasets.cache import CropCache, open_cache
from emotrace.errors import DatasetError, TrainingError, UsageError
from emotrace.models.architecture import Head, HeadKind, InputKind
from emotrace.training.stretches import ExampleWindows, cut_stretches, cut_windows, keep_ends
from emotrace.training.targets import (
    HeadTargets,
    RowLabels,
    TargetSettings,
    head_targets,
    labels_of_cache,
    match_heads,
)
from emotrace.training.zoo.data import ZooData, load_data
from tests.training.tiny_zoo import (
    CLIP,
    EXPRESSIONS,
    IMAGE,
    SEQUENCE,
    tiny_recipe,
    write_cache,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips of eight frames; frame 5 is missing in all."""
    return write_cache(tmp_path_factory.mktemp("tiny"), gap_at=5)


@pytest.fixture(scope="module")
def cache(folder: Path) -> CropCache:
    return open_cache(folder)


def load(folder: Path, row: Any, **changes: Any) -> ZooData:
    recipe = tiny_recipe(row, folder, **changes)
    return load_data(recipe, kind=row.kind, heads=row.build(recipe.options).heads)


# --- where they lie ------------------------------------------------------------------------------


def test_windows_cross_no_gap_and_every_step_has_its_own_target(folder: Path) -> None:
    data = load(folder, SEQUENCE, options={"values": 2})
    examples = data.train
    assert examples.kind is InputKind.IMAGE_SEQUENCE
    # Of each clip's frames 0-4 and 6-7, windows of 4 fit into the first five alone.
    assert len(examples) == 6 * 2
    batch = examples[list(range(len(examples)))]
    assert batch.inputs.shape == (12, 4, 12, 12, 1)
    assert batch.inputs.dtype == torch.uint8
    frames = examples.names.frame
    for at in range(len(examples)):
        first = int(examples.first[at])
        assert frames[first] in (0, 1)
        rows = np.arange(first, first + 4)
        np.testing.assert_array_equal(batch.inputs[at].numpy(), examples.source.read(rows))
        for name, values in batch.targets.items():
            np.testing.assert_array_equal(values[at].numpy(), examples.targets[name][rows])
    assert examples.name(0).endswith("frames 0-3")


def test_the_frame_after_a_window_can_be_what_is_learned(folder: Path) -> None:
    windows = ExampleWindows(steps=3, target_offset=1, step_targets="last")
    data = load(folder, SEQUENCE, windows=windows, options={"values": 2})
    examples = data.train
    assert len(examples) == 6 * 2  # windows 0-2 and 1-3 predict 3 and 4; 6-7 is too short
    batch = examples[[0, 1]]
    values = batch.targets["valence_arousal"]
    assert values.shape == (2, 3, 2)
    assert bool(values[:, :2].isnan().all())
    for at in range(2):
        np.testing.assert_array_equal(
            values[at, 2].numpy(),
            examples.targets["valence_arousal"][examples.first[at] + 3],
        )


def test_frames_of_a_clip_may_lie_apart(folder: Path) -> None:
    recipe = {"windows": ExampleWindows(spacing=3), "options": {"frames": 2}}
    examples = load(folder, CLIP, **recipe).train
    assert len(examples) == 6 * 2
    batch = examples[[1]]
    rows = examples.first[1] + np.array([0, 3])
    assert batch.inputs.shape == (1, 2, 12, 12, 1)
    np.testing.assert_array_equal(batch.inputs[0].numpy(), examples.source.read(rows))
    np.testing.assert_array_equal(
        batch.targets["expression"][0].numpy(), examples.targets["expression"][rows[1]]
    )
    assert batch.targets["expression"].shape == (1, 3)


def test_stretches_reach_every_labelled_frame_once(cache: CropCache) -> None:
    has_target = np.ones(len(cache.frames), np.bool_)
    for longest in (None, 1, 2, 3, 50):
        found = cut_stretches(cache, ExampleWindows(), has_target=has_target, longest=longest)
        rows = np.concatenate(
            [np.arange(f, f + n) for f, n in zip(found.first, found.steps, strict=True)]
        )
        assert sorted(rows.tolist()) == list(range(len(cache.frames)))
        for first, steps in zip(found.first, found.steps, strict=True):
            inside = cache.frames.frame[first : first + steps]
            assert (np.diff(inside) == 1).all()
            assert len(set(cache.frames.clip[first : first + steps].tolist())) == 1
    whole = cut_stretches(cache, ExampleWindows(), has_target=has_target)
    assert whole.steps.tolist() == [5, 2] * 12
    after = cut_stretches(cache, ExampleWindows(target_offset=1), has_target=has_target)
    assert after.steps.tolist() == [4, 1] * 12


def test_short_sequences_are_filled_up_without_targets(folder: Path) -> None:
    data = load(folder, SEQUENCE, windows=ExampleWindows(steps=4, keep_short=True))
    examples = data.train
    assert sorted(set(examples.steps.tolist())) == [1, 2, 4]
    batch = examples[np.arange(len(examples)).tolist()]
    assert batch.inputs.shape[:2] == (len(examples), 4)
    known = ~batch.targets["expression"].isnan().any(dim=-1)
    assert known.sum(dim=1).tolist() == examples.steps.tolist()
    short = int(np.argmin(examples.steps))
    assert bool((batch.inputs[short] == batch.inputs[short][:1]).all())
    assert int(known.sum()) == 6 * 7  # nothing is lost
    assert len(data.notices) == 1


def test_what_no_example_teaches_is_said(folder: Path) -> None:
    data = load(folder, SEQUENCE, windows=ExampleWindows(steps=5))
    assert "12 of 42 labelled training frames are learned by no example (0 clips" in data.notices[1]
    with pytest.raises(TrainingError, match="expected examples to learn from; got none"):
        load(folder, SEQUENCE, windows=ExampleWindows(steps=6))


def test_the_end_of_each_clip_may_be_all_that_is_learned(folder: Path) -> None:
    cases: tuple[tuple[Literal["never", "train", "always"], int, int], ...] = (
        ("never", 6 * 7, 6 * 7),
        ("train", 6, 6 * 7),
        ("always", 6, 6),
    )
    for ends_only, learned, measured in cases:
        windows = ExampleWindows(ends_only=ends_only)
        data = load(folder, IMAGE, windows=windows)
        assert (len(data.train), len(data.sides["validation"])) == (learned, measured)
        if learned == 6:
            assert set(data.train.names.frame[data.train.target_rows].tolist()) == {7}
            assert "and ends where its clip does" in data.notices[1]


@pytest.mark.parametrize(
    ("row", "windows", "learned", "measured"),
    [
        # Of each clip's frames 0-4 and 6-7: every third of a stretch, against all seven.
        (IMAGE, ExampleWindows(stride=3), 6 * 3, 6 * 7),
        # Windows of four end at 3 and 4.
        (CLIP, ExampleWindows(stride=3), 6 * 1, 6 * 2),
        (SEQUENCE, ExampleWindows(steps=4, stride=3, step_targets="last"), 6 * 1, 6 * 2),
        # Every step of a sequence is measured: pieces lie next to one another.
        (SEQUENCE, ExampleWindows(steps=4, stride=3), 6 * 1, 6 * 3),
    ],
)
def test_a_stride_thins_what_is_learned_and_nothing_that_is_measured(
    folder: Path, row: Any, windows: ExampleWindows, learned: int, measured: int
) -> None:
    data = load(folder, row, windows=windows)
    validation = data.sides["validation"]
    assert (len(data.train), len(validation)) == (learned, measured)
    targets = validation.rows_with_targets
    assert len(set(targets.tolist())) == len(targets)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("spacing", [2, 3])
def test_steps_that_lie_apart_measure_every_frame_once(
    folder: Path, spacing: int, offset: Literal[0, 1]
) -> None:
    windows = ExampleWindows(steps=2, spacing=spacing, target_offset=offset)
    data = load(folder, SEQUENCE, windows=windows)
    frame = data.train.names.frame
    reached = [row for row in data.labelled_rows("validation") if offset == 0 or frame[row] % 6]
    for examples in (data.sides["validation"], data.whole("validation")):
        assert sorted(examples.rows_with_targets.tolist()) == reached
        for first, steps in zip(examples.first, examples.steps, strict=True):
            rows = first + spacing * np.arange(steps)
            assert (np.diff(frame[rows]) == spacing).all()
            assert len(set(examples.names.video[rows].tolist())) == 1
    assert set(data.sides["validation"].steps.tolist()) == {1, 2}
    # Whole: of frames 0-4, as many as there are that far apart.
    assert data.whole("validation").longest == -(-(5 - offset) // spacing)


def test_short_sequences_of_steps_that_lie_apart_teach_every_frame(folder: Path) -> None:
    data = load(folder, SEQUENCE, windows=ExampleWindows(steps=2, spacing=4, keep_short=True))
    assert len(data.notices) == 1
    assert len(set(data.train.rows_with_targets.tolist())) == 6 * 7
    # Windows of frames 0 and 2 leave out frame 1 between them, too.
    thinned = load(folder, SEQUENCE, windows=ExampleWindows(steps=2, spacing=2, stride=4))
    assert "30 of 42 labelled training frames are learned by no example" in thinned.notices[1]


def test_a_piece_with_targets_between_its_steps_only_is_left_out(cache: CropCache) -> None:
    has_target = np.asarray(cache.frames.frame == 1, np.bool_)
    apart = ExampleWindows(spacing=2)
    whole = cut_stretches(cache, apart, has_target=has_target)
    assert cache.frames.frame[whole.first].tolist() == [1] * 12
    windows = cut_windows(cache, apart, steps=2, has_target=has_target, any_step=True)
    assert cache.frames.frame[windows.first].tolist() == [1] * 12


def test_the_example_that_ends_a_clip_need_not_begin_last(tmp_path: Path) -> None:
    cache = open_cache(write_cache(tmp_path, clips=3, frames=5))
    has_target = np.ones(len(cache.frames), np.bool_)
    found = cut_stretches(cache, ExampleWindows(spacing=2), has_target=has_target)
    assert cache.frames.frame[found.first].tolist() == [0, 1] * 3
    ends = keep_ends(found, cache, spacing=2)
    assert cache.frames.frame[ends.first + 2 * (ends.steps - 1)].tolist() == [4] * 3


def test_frames_without_a_label_are_seen_unless_they_count_as_gaps(cache: CropCache) -> None:
    has_target = np.ones(len(cache.frames), np.bool_)
    has_target[cache.frames.frame == 1] = False
    seen = cut_windows(cache, ExampleWindows(), steps=3, has_target=has_target)
    assert sorted(set(cache.frames.frame[seen.first].tolist())) == [0, 1, 2]
    gaps = ExampleWindows(labelled_inputs=True)
    kept = cut_windows(cache, gaps, steps=3, has_target=has_target)
    assert set(cache.frames.frame[kept.first].tolist()) == {2}
    # With a target in any step, windows that end without one stay.
    has_target[cache.frames.frame == 4] = False
    last = cut_windows(cache, ExampleWindows(), steps=3, has_target=has_target)
    some = cut_windows(cache, ExampleWindows(), steps=3, has_target=has_target, any_step=True)
    assert (len(last.first), len(some.first)) == (24, 36)


# --- what they teach -----------------------------------------------------------------------------

EMOTION = Head(name="expression", kind=HeadKind.CATEGORICAL, size=3)


def test_heads_find_their_labels(cache: CropCache) -> None:
    labels = labels_of_cache(cache, "emotion")
    heads = (
        EMOTION,
        Head(name="valence_arousal", kind=HeadKind.CONTINUOUS, size=2),
        Head(name="arousal", kind=HeadKind.CONTINUOUS, size=1),
        Head(name="action_units", kind=HeadKind.MULTI_LABEL, size=1),
    )
    matched = match_heads(heads, labels, TargetSettings())
    assert [target.names for target in matched] == [
        ("anger", "happiness", "surprise"),
        ("valence", "arousal"),
        ("arousal",),
        ("au_12",),
    ]
    found = head_targets(matched, labels, TargetSettings())
    np.testing.assert_array_equal(found["valence_arousal"][:, 0], cache.frames.valence)
    np.testing.assert_array_equal(found["arousal"][:, 0], cache.frames.arousal)
    np.testing.assert_array_equal(found["action_units"][:, 0], cache.frames.action_units["au_12"])
    assert (found["expression"].sum(axis=1) == 1).all()
    clip = cache.clip_ids.index("clip01")
    assert (found["expression"][cache.frames.clip == clip] == [0, 1, 0]).all()


def test_a_network_of_more_classes_takes_the_whole_set(cache: CropCache) -> None:
    labels = labels_of_cache(cache, "emotion")
    for size, last in ((8, "surprise"), (7, "surprise")):
        (target,) = match_heads([replace(EMOTION, size=size)], labels, TargetSettings())
        assert len(target.names) == size
        assert target.names[-1] == last
        assert ("contempt" in target.names) == (size == 8)
    with pytest.raises(UsageError, match=r"labels, 3 \(anger, happiness, surprise\); the network"):
        match_heads([replace(EMOTION, size=4)], labels, TargetSettings())


def test_labels_outside_the_set_are_refused_or_ignored_aloud(cache: CropCache) -> None:
    labels = labels_of_cache(cache, "emotion")
    chosen = TargetSettings(class_names=("surprise", "anger"))
    two = replace(EMOTION, size=2)
    with pytest.raises(
        DatasetError,
        match=r"labels out of surprise, anger for the head 'expression'; got happiness in 28 rows",
    ):
        match_heads([two], labels, chosen)
    ignoring = replace(chosen, ignore_other_labels=True)
    (target,) = match_heads([two], labels, ignoring)
    found = head_targets([target], labels, ignoring)["expression"]
    clips = ("clip00", "clip01", "clip02")
    rows = [cache.frames.clip == cache.clip_ids.index(name) for name in clips]
    assert (found[rows[0]] == [0, 1]).all()
    assert np.isnan(found[rows[1]]).all()
    assert (found[rows[2]] == [1, 0]).all()
    with pytest.raises(UsageError, match=r"class names out of anger, contempt, .*; got 'joy'"):
        match_heads([two], labels, TargetSettings(class_names=("joy", "anger")))


def test_conditions_can_be_the_classes(cache: CropCache) -> None:
    labels = labels_of_cache(cache, "condition")
    (target,) = match_heads([replace(EMOTION, size=2)], labels, TargetSettings())
    assert target.names == ("bright", "dim")
    with pytest.raises(DatasetError, match="expected FER\\+ for the labels 'fer2013'"):
        labels_of_cache(cache, "fer2013")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("condition", r"expected clips with a condition in .*; none has one; learn 'emotion'"),
        ("votes", r"expected annotators' votes in .*; it has none; learn 'emotion'"),
    ],
)
def test_classes_that_the_data_lacks_are_missed_by_heads_of_classes_only(
    tmp_path: Path, source: Literal["condition", "votes"], message: str
) -> None:
    folder = write_cache(tmp_path, clips=6, subjects=6, conditions=False)
    targets = TargetSettings(labels=source)
    data = load(folder, IMAGE, options={"classes": 0, "values": 2, "units": 1}, targets=targets)
    assert [target.head.name for target in data.heads] == ["valence_arousal", "action_units"]
    assert len(data.train) == 3 * 8
    for named in ((), ("a", "b", "c")):
        asked = replace(targets, class_names=named)
        with pytest.raises(DatasetError, match=message):
            load(folder, IMAGE, options={"values": 2}, targets=asked)
    labels = labels_of_cache(open_cache(folder), source)
    with pytest.raises(DatasetError, match=message):
        head_targets([HeadTargets(head=EMOTION, names=EXPRESSIONS)], labels, targets)


def test_votes_are_soft_labels_over_the_chosen_classes() -> None:
    labels = RowLabels(
        class_names=("a", "b", "c"),
        classes=np.array([0, 2, -1, 1]),
        shares=np.array([[0.6, 0.2, 0.2], [0, 0, 1], [0, 0, 0], [0, 0, 0]], np.float32),
    )
    settings_ = TargetSettings(class_names=("a", "b"), ignore_other_labels=True)
    target = HeadTargets(head=replace(EMOTION, size=2), names=("a", "b"))
    found = head_targets([target], labels, settings_)["expression"]
    np.testing.assert_allclose(found[0], [0.75, 0.25], rtol=1e-6)
    assert np.isnan(found[1:3]).all()
    np.testing.assert_array_equal(found[3], [0, 1])  # no votes: its label


def test_columns_that_are_not_there_are_named(cache: CropCache) -> None:
    labels = labels_of_cache(cache, "emotion")
    head = Head(name="pain", kind=HeadKind.CONTINUOUS, size=1)
    with pytest.raises(UsageError, match=r"the head 'pain'; it lacks pain; it has: valence, aro"):
        match_heads([head], labels, TargetSettings())
    named = TargetSettings(value_names=("valence",))
    (target,) = match_heads([head], labels, named)
    assert target.names == ("valence",)
    assert HeadTargets.from_json(target.to_json()) == target
    empty = RowLabels(class_names=("a",), classes=np.full(3, -1))
    with pytest.raises(DatasetError, match="labels for at least one of the network's heads"):
        match_heads([Head(name="valence", kind=HeadKind.CONTINUOUS, size=1)], empty, named)


def test_classes_weigh_by_their_reciprocal(folder: Path) -> None:
    from emotrace.training.zoo.recipe import LossSettings

    losses = LossSettings(sample_weighting="reciprocal")
    settings_ = TargetSettings(labels="condition")
    data = load(folder, IMAGE, options={"classes": 2}, losses=losses, targets=settings_)
    batch = data.train[np.arange(len(data.train)).tolist()]
    # Two of three clips are bright: classes weigh alike in the sum, 1 on average.
    names = data.heads[0].names
    bright = batch.targets["expression"][:, names.index("bright")] == 1
    assert set(batch.weights[bright].tolist()) == {0.75}
    assert set(batch.weights[~bright].tolist()) == {1.5}


def test_every_step_of_a_sequence_counts_for_its_weight(folder: Path) -> None:
    data = load(folder, SEQUENCE, windows=ExampleWindows(steps=3, stride=3))
    train = data.train
    rows = train.rows_with_targets
    assert rows.tolist() == [int(first) + step for first in train.first for step in range(3)]
    offset = replace(train, target_offset=1, steps=np.minimum(train.steps, 2))
    assert offset.rows_with_targets.tolist() == [
        int(first) + step + 1 for first in train.first for step in range(2)
    ]
    last = replace(train, last_only=True)
    np.testing.assert_array_equal(last.rows_with_targets, train.target_rows)
