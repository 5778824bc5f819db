"""Splits that cannot leak: on arbitrary sets of subjects, and on the papers' own numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from emotrace.datasets.items import SIDES, Content, SideName, Spans, SplitItems, content_hash
from emotrace.datasets.protocols import (
    RAVDESS_ACTOR_FOLDS,
    abdullah2020_splits,
    actor_folds,
    items_from_clips,
    leave_one_subject_out,
    official_split,
    random_split,
    subject_folds,
    subject_holdout,
    subject_k_fold,
)
from emotrace.datasets.records import ClipRecord
from emotrace.datasets.splits import Split
from emotrace.errors import DatasetError, UsageError


def make_items(
    subjects: list[str | None], labels: list[int] | None = None, **columns: object
) -> SplitItems:
    return SplitItems(
        item_ids=tuple(f"clip{at}" for at in range(len(subjects))),
        subjects=tuple(subjects),
        labels=None if labels is None else np.array(labels, np.int64),
        **columns,  # type: ignore[arg-type]
    )


def subjects_of(split: Split, side: SideName) -> set[str | None]:
    subjects = split.items.subjects or ()
    return {subjects[at] for at in getattr(split, side)}


subject_lists = st.lists(
    st.text(alphabet="abcXYZ019 é", min_size=1, max_size=3), min_size=1, max_size=60
)


def check_sound(split: Split) -> None:
    """Nobody is on two sides, nobody is lost, and the split says so of itself."""
    assert split.leaks() == []
    for a, b in combinations(SIDES, 2):
        assert not subjects_of(split, a) & subjects_of(split, b)
    everything = np.concatenate([split.train, split.validation, split.test])
    assert sorted(everything.tolist()) == list(range(len(split.items)))
    assert len(split.train)
    assert len(split.validation) + len(split.test)


# --- subject-held-out protocols, on any subjects --------------------------------------------------


@given(subjects=subject_lists, share=st.sampled_from([0.0, 0.2, 0.5]))
def test_leave_one_subject_out(subjects: list[str], share: float) -> None:
    items = make_items(list(subjects))
    names = sorted(set(subjects))
    if len(names) < (3 if share else 2):
        with pytest.raises(DatasetError, match="subjects"):
            leave_one_subject_out(items, validation_share=share)
        return
    splits = leave_one_subject_out(items, validation_share=share)
    assert [split.fold for split in splits] == [f"subject {name}" for name in names]
    for name, split in zip(names, splits, strict=True):
        check_sound(split)
        assert subjects_of(split, "test") == {name}
        assert bool(len(split.validation)) == bool(share)


@given(
    subjects=subject_lists,
    labels=st.data(),
    folds=st.integers(2, 6),
    has_validation=st.booleans(),
    seed=st.integers(0, 3),
)
def test_subject_k_fold(
    subjects: list[str], labels: st.DataObject, folds: int, has_validation: bool, seed: int
) -> None:
    classes = labels.draw(
        st.lists(st.integers(-1, 3), min_size=len(subjects), max_size=len(subjects))
    )
    items = make_items(list(subjects), classes)
    if folds < (3 if has_validation else 2):
        with pytest.raises(UsageError):
            subject_k_fold(items, folds=folds, has_validation=has_validation)
        return
    if len(set(subjects)) < folds:
        with pytest.raises(DatasetError, match="subjects"):
            subject_k_fold(items, folds=folds, has_validation=has_validation)
        return
    splits = subject_k_fold(items, folds=folds, has_validation=has_validation, seed=seed)
    assert len(splits) == folds
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested.tolist()) == list(range(len(items)))
    for split in splits:
        check_sound(split)


@given(subjects=subject_lists, share=st.floats(0.05, 0.9), seed=st.integers(0, 9))
def test_subject_holdout(subjects: list[str], share: float, seed: int) -> None:
    items = make_items(list(subjects))
    if len(set(subjects)) < 2:
        with pytest.raises(DatasetError, match="subjects"):
            subject_holdout(items, validation_share=share, seed=seed)
        return
    check_sound(subject_holdout(items, validation_share=share, seed=seed))


@given(subjects=subject_lists, seed=st.integers(0, 9))
def test_random_splits_are_given_away_exactly_where_somebody_is_on_two_sides(
    subjects: list[str], seed: int
) -> None:
    items = make_items(list(subjects))
    if len(subjects) < 3:
        with pytest.raises(DatasetError, match="at least 3 to divide"):
            random_split(items, seed=seed)
        return
    split = random_split(items, seed=seed)
    sides = {name: {subjects[at] for at in split.sides[name]} for name in SIDES}
    shared = {(a, b): len(sides[a] & sides[b]) for a, b in combinations(SIDES, 2)}
    found = {leak.sides: leak.count for leak in split.leaks()}
    assert found == {pair: count for pair, count in shared.items() if count}
    if found:
        for side in SIDES:
            with pytest.raises(DatasetError, match=r"choose a protocol that holds subjects out"):
                getattr(split, side)
    else:
        check_sound(split)


@given(subjects=subject_lists, seed=st.integers(0, 5))
@settings(max_examples=30)
def test_splits_do_not_depend_on_the_order_of_the_items(subjects: list[str], seed: int) -> None:
    if len(set(subjects)) < 3:
        return
    items = make_items(list(subjects), [len(name) for name in subjects])
    order = np.random.default_rng(seed).permutation(len(items))
    assert items.labels is not None
    shuffled = SplitItems(
        item_ids=tuple(items.item_ids[at] for at in order),
        subjects=tuple(subjects[at] for at in order),
        labels=items.labels[order],
    )
    makers: list[Callable[[SplitItems], Split]] = [
        lambda it: random_split(it, seed=3).verified(allow_leaks=True),
        lambda it: subject_holdout(it, seed=3),
        lambda it: subject_k_fold(it, folds=3, seed=3)[1],
        lambda it: leave_one_subject_out(it, validation_share=0.4, seed=3)[0],
    ]
    for make in makers:
        a, b = make(items).to_json()["sides"], make(shuffled).to_json()["sides"]
        assert {k: set(v) for k, v in a.items()} == {k: set(v) for k, v in b.items()}


def test_folds_are_as_alike_as_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    ours, theirs = [], []
    for trial in range(8):
        # 40 people, some with many clips, each of them leaning towards one of five classes.
        person = rng.choice(40, 800, p=rng.dirichlet(np.full(40, 1.0)))
        leaning = rng.integers(0, 5, 40)
        label = np.where(rng.random(800) < 0.5, leaning[person], rng.integers(0, 5, 800))
        items = make_items([f"p{number}" for number in person], label.tolist())

        def spread(tests: list[np.ndarray], label: np.ndarray = label) -> float:
            counts = np.stack([np.bincount(label[test], minlength=5) for test in tests])
            return float((counts / counts.sum(axis=0)).std(axis=0).mean())

        ours.append(spread([split.test for split in subject_k_fold(items, seed=trial)]))
        reference = StratifiedGroupKFold(5)
        theirs.append(spread([test for _, test in reference.split(label, label, person)]))
    assert np.mean(ours) <= 1.1 * np.mean(theirs)


def test_an_unknown_subject_is_refused_where_subjects_are_held_out() -> None:
    items = make_items(["a", None, "b"])
    protocols: list[Callable[[SplitItems], object]] = [
        leave_one_subject_out,
        subject_holdout,
        actor_folds,
    ]
    for protocol in protocols:
        with pytest.raises(DatasetError, match=r"unknown for 1 of 3 \('clip1' for one\)"):
            protocol(items)


# --- the papers' own ------------------------------------------------------------------------------


def test_the_actor_folds_hold_each_of_24_actors_once() -> None:
    assert sorted(actor for fold in RAVDESS_ACTOR_FOLDS for actor in fold) == list(range(1, 25))


@pytest.mark.parametrize("name", ["{:02d}", "Actor_{:02d}", "{}"])
def test_actor_folds_know_the_actor_by_the_number_at_the_end(name: str) -> None:
    items = make_items([name.format(actor) for actor in range(1, 25) for _ in range(3)])
    splits = actor_folds(items, has_validation=True)
    for fold, split in zip(RAVDESS_ACTOR_FOLDS, splits, strict=True):
        check_sound(split)
        assert subjects_of(split, "test") == {name.format(actor) for actor in fold}
    assert subjects_of(splits[4], "validation") == subjects_of(splits[0], "test")


def test_actor_folds_say_who_is_absent_and_who_is_a_stranger() -> None:
    some = [str(actor) for actor in range(1, 25) if actor != 9]
    assert "not in the data: subjects actor 9" in actor_folds(make_items([*some]))[0].describe()
    with pytest.raises(DatasetError, match="expected actors 1 to 24; got 25"):
        actor_folds(make_items([*some, "25"]))
    with pytest.raises(DatasetError, match="nobody of actor 1, actor 22, actor 4, actor 9"):
        actor_folds(make_items([*(name for name in some if name not in {"1", "4", "22"})]))
    with pytest.raises(DatasetError, match="'anna'"):
        actor_folds(make_items(["anna", "1"]))


def test_abdullah2020_is_the_papers_split_and_the_honest_ones_side_by_side() -> None:
    # 4904 clips of 24 actors: the paper's 3923, 490 and 491.
    items = make_items([str(1 + at % 24) for at in range(4904)])
    paper, *honest = abdullah2020_splits(items)
    assert [len(paper.train), len(paper.validation), len(paper.test)] == [3923, 490, 491]
    assert "LEAKS ALLOWED: 24 subjects in both train and validation" in paper.describe()
    assert paper.to_json()["leaks_allowed"]
    assert {leak["kind"] for leak in paper.to_json()["leaks"]} == {"subject"}
    assert len(honest) == 5
    for split in honest:
        check_sound(split)
        assert "LEAK" not in split.describe()


def test_tzirakis2021_keeps_a_fifth_of_the_people() -> None:
    items = make_items([str(at % 2616) for at in range(4973)])
    split = subject_holdout(items)
    assert len(subjects_of(split, "train")) == 2092
    assert len(subjects_of(split, "validation")) == 524
    assert split.title == "80:20 by subject (seed 0)"


def test_the_official_partition_is_taken_as_it_is() -> None:
    partitions: tuple[SideName | None, ...] = ("train", "validation", None, "test", "train")
    items = make_items(["a", "b", "c", "d", "a"], partitions=partitions)
    split = official_split(items)
    assert split.train.tolist() == [0, 4]
    assert split.validation.tolist() == [1]
    assert split.test.tolist() == [3]
    assert "1 items without a partition left out" in split.describe()
    with pytest.raises(DatasetError, match="got 0 train, 0 validation, 0 test of 2 items"):
        official_split(make_items(["a", "b"]))


def test_folds_must_name_everybody_once() -> None:
    items = make_items(["a", "b", "c"])
    with pytest.raises(DatasetError, match=r"c \(1 in all\) are in none"):
        subject_folds(items, [["a"], ["b"]], protocol="mine")
    with pytest.raises(UsageError, match="one is in two"):
        subject_folds(items, [["a", "b"], ["b", "c"]], protocol="mine")
    splits = subject_folds(items, [["a"], ["b", "c"]], protocol="mine")
    assert [split.test.tolist() for split in splits] == [[0], [1, 2]]


def test_clips_become_items() -> None:
    clips = [
        ClipRecord(
            clip_id="x", dataset="d", media=(), subject="s", partition="train", emotion="fear"
        ),
        ClipRecord(clip_id="y", dataset="d", media=()),
    ]
    items = items_from_clips(clips)
    assert items.subjects == ("s", None)
    assert items.partitions == ("train", None)
    assert items.labels is not None
    assert items.labels.tolist() == [3, -1]


# --- the proof ------------------------------------------------------------------------------------


def two_sides(items: SplitItems, train: list[int], test: list[int]) -> Split:
    return Split(
        protocol="by hand",
        fold="",
        items=items,
        sides={"train": np.array(train), "test": np.array(test)},
    )


def test_an_item_on_two_sides_is_no_split() -> None:
    with pytest.raises(UsageError, match="each item on one side at most"):
        two_sides(make_items(["a", "b"]), [0, 1], [1])
    with pytest.raises(UsageError, match="positions from 0 to 1"):
        two_sides(make_items(["a", "b"]), [0], [2])


def test_a_session_stands_in_for_an_unknown_subject() -> None:
    items = make_items([None, None, "c", "d"], sessions=("talk1", "talk1", "001", "001"))
    (leak,) = two_sides(items, [0, 2], [1, 3]).leaks()
    assert str(leak) == "1 session in both train and test (talk1)"
    assert two_sides(items, [0, 1, 2], [3]).leaks() == []


def test_equal_pictures_are_found_and_can_be_left_out() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (4, 4), np.uint8) for _ in range(5)]
    pictures[4] = pictures[1].copy()
    hashes = np.array([content_hash(picture) for picture in pictures], np.uint64)
    content = Content(item=np.array([0, 0, 1, 2, 2]), hashes=hashes)
    items = make_items(["a", "b", "c"], content=content)
    split = two_sides(items, [0, 1], [2])
    (leak,) = split.leaks()
    assert (leak.kind, leak.count, leak.examples) == ("duplicate", 1, ("clip0", "clip2"))
    with pytest.raises(DatasetError, match=r"1 picture in both train and test \(clip0, clip2\)"):
        _ = split.train
    cleaned = split.without_shared_pictures()
    assert cleaned.train.tolist() == [1]
    assert cleaned.test.tolist() == [2]
    assert "1 items left out of train: their pictures are in test" in cleaned.describe()
    assert "pictures were not compared" not in cleaned.describe()


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(0, 12), st.integers(0, 5), st.integers(0, 2)),
        min_size=2,
        max_size=25,
    )
)
def test_overlapping_windows_are_found_as_by_comparing_all(
    rows: list[tuple[str, int, int, int]],
) -> None:
    spans = Spans(
        source=tuple(row[0] for row in rows),
        first_frame=np.array([row[1] for row in rows]),
        last_frame=np.array([row[1] + row[2] for row in rows]),
    )
    items = SplitItems(item_ids=tuple(map(str, range(len(rows)))), spans=spans)
    split = Split(
        protocol="by hand",
        fold="",
        items=items,
        sides={
            name: np.array([at for at, row in enumerate(rows) if row[3] == code], np.int64)
            for code, name in enumerate(SIDES)
        },
    )
    expected = {}
    for a, b in combinations(range(3), 2):
        hit = [
            i
            for i, x in enumerate(rows)
            if x[3] == a
            and any(
                y[3] == b and x[0] == y[0] and x[1] <= y[1] + y[2] and y[1] <= x[1] + x[2]
                for y in rows
            )
        ]
        if hit:
            expected[SIDES[a], SIDES[b]] = len(hit)
    assert {leak.sides: leak.count for leak in split.leaks()} == expected


def test_what_is_not_known_is_called_unproven_not_fine() -> None:
    split = two_sides(make_items(["a", None, "b"]), [0, 1], [2])
    assert split.unproven() == [
        "the subject of 1 of 3 items is not known",
        "pictures were not compared",
    ]
    assert "not proven: the subject of 1 of 3 items is not known" in split.describe()
    assert split.train.tolist() == [0, 1]


def test_allowing_leaks_is_never_silent() -> None:
    split = two_sides(make_items(["a", "a"]), [0], [1])
    assert "; LEAKS: 1 subject in both train and test (a)" in split.describe()
    allowed = split.verified(allow_leaks=True)
    assert allowed.test.tolist() == [1]
    assert "; LEAKS ALLOWED: 1 subject in both train and test (a)" in allowed.describe()
    # An override where nothing leaks has nothing to name.
    clean = replace(split, items=make_items(["a", "b"])).verified(allow_leaks=True)
    assert "LEAK" not in clean.describe()


def test_items_are_checked() -> None:
    with pytest.raises(UsageError, match="'x' occurs twice"):
        SplitItems(item_ids=("x", "y", "x"))
    with pytest.raises(UsageError, match="expected 2 subjects"):
        SplitItems(item_ids=("x", "y"), subjects=("a",))
    with pytest.raises(UsageError, match="items to be from 0 to 0"):
        SplitItems(
            item_ids=("x",),
            content=Content(item=np.array([1]), hashes=np.array([1], np.uint64)),
        )


@pytest.mark.parametrize("shares", [(0.5, 0.1, 0.1), (0.0, 0.5, 0.5), (1.2, -0.2, 0.0)])
def test_shares_must_be_shares(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="shares"):
        random_split(make_items(["a"] * 10), shares=shares)


@given(
    holds=st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.integers(0, 9), max_size=4)),
        min_size=1,
        max_size=12,
    )
)
def test_equal_pictures_against_comparing_all(holds: list[tuple[int, list[int]]]) -> None:
    pairs = [(at, picture) for at, (_, pictures) in enumerate(holds) for picture in pictures]
    content = Content(
        item=np.array([at for at, _ in pairs], np.int64),
        hashes=np.array([picture for _, picture in pairs], np.uint64),
    )
    split = Split(
        protocol="by hand",
        fold="",
        items=SplitItems(item_ids=tuple(map(str, range(len(holds)))), content=content),
        sides={
            name: np.array([at for at, (side, _) in enumerate(holds) if side == code], np.int64)
            for code, name in enumerate(SIDES)
        },
    )
    pictures = [{p for side, found in holds if side == code for p in found} for code in range(3)]
    shared = {
        (SIDES[a], SIDES[b]): len(pictures[a] & pictures[b]) for a, b in combinations(range(3), 2)
    }
    assert {leak.sides: leak.count for leak in split.leaks()} == {
        sides: count for sides, count in shared.items() if count
    }
    cleaned = split.without_shared_pictures()
    assert cleaned.leaks() == []
    assert cleaned.test.tolist() == split.sides["test"].tolist()
    for at in set(split.sides["train"].tolist()) - set(cleaned.train.tolist()):
        assert set(holds[at][1]) & (pictures[1] | pictures[2])
