"""How data sets are divided: who is learned from, who is chosen by, who is measured on.

Every function gives `Split`s that check themselves (see `emotrace.datasets.splits`). Nothing here
depends on the order of the items: the same ids, subjects and seed give the same split.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.datasets.items import SIDES, SideName, SplitItems
from emotrace.datasets.splits import Split
from emotrace.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from emotrace.datasets.records import ClipRecord

RAVDESS_ACTOR_FOLDS: Final[tuple[tuple[int, ...], ...]] = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
"""RAVDESS' 24 actors in the five folds that published work on it shares (Luna-Jimenez, 2021)."""

PAPER_SHARES: Final = (0.8, 0.1, 0.1)
"""abdullah2020: train, validation, test."""

_TRAILING_NUMBER: Final = re.compile(r"(\d+)\D*$")


def items_from_clips(clips: Sequence[ClipRecord]) -> SplitItems:
    """Describe the clips of a data set for a split; pictures are not compared.

    Labels are the clips' emotions. To have pictures compared, split the items of a prepared cache.
    """
    from emotrace.labels import EMOTIONS

    labels = [-1 if clip.emotion is None else EMOTIONS.index(clip.emotion) for clip in clips]
    return SplitItems(
        item_ids=tuple(clip.clip_id for clip in clips),
        subjects=tuple(clip.subject for clip in clips),
        sessions=tuple(clip.session for clip in clips),
        partitions=tuple(clip.partition for clip in clips),
        labels=np.array(labels, np.int64),
    )


def leave_one_subject_out(
    items: SplitItems, *, validation_share: float = 0.0, seed: int = 0
) -> list[Split]:
    """Return one split for each subject: that one is the test side, all others are learned from.

    salinas2018 chooses its architecture on the left-out subject. With a `validation_share` above 0
    that share of the *other* subjects is kept for choosing, and the test side stays untouched.

    Raises:
        DatasetError: A subject is unknown, or there are too few.
    """
    _require_subjects(items, at_least=3 if validation_share else 2)
    splits = []
    for code, name in enumerate(items.subject_names):
        others = [other for other in range(len(items.subject_names)) if other != code]
        chosen: list[int] = []
        if validation_share:
            rng = np.random.default_rng([seed, code])
            count = _side_counts(len(others), (1 - validation_share, validation_share, 0.0))[1]
            chosen = rng.permutation(others)[:count].tolist()
        learned = [other for other in others if other not in set(chosen)]
        splits.append(
            _split_by_subject(
                items,
                "leave-one-subject-out",
                f"subject {name}",
                {"train": learned, "validation": chosen, "test": [code]},
            )
        )
    return splits


def subject_k_fold(
    items: SplitItems, *, folds: int = 5, has_validation: bool = False, seed: int = 0
) -> list[Split]:
    """Return k splits whose test sides share no subject, with alike shares of every class.

    Greedy, after scikit-learn's StratifiedGroupKFold: the subjects whose items are least evenly
    spread over the classes come first, each goes where it keeps the folds most alike. Unlike there,
    no fold ever stays empty.

    Args:
        items: With `subjects`; without `labels`, only the folds' sizes are kept alike.
        folds: k.
        has_validation: Keep the next fold for choosing.
        seed: Decides between subjects that are alike.

    Raises:
        DatasetError: A subject is unknown, or there are fewer subjects than folds.
        UsageError: `folds` is too small.
    """
    least = 3 if has_validation else 2
    if folds < least:
        raise UsageError(f"expected at least {least} folds; got {folds}")
    _require_subjects(items, at_least=folds)
    fold_of = _stratify(_class_counts(items), folds, seed)
    groups = [np.flatnonzero(fold_of == fold).tolist() for fold in range(folds)]
    name = f"{folds} subject-grouped stratified folds (seed {seed})"
    return _rotate(items, name, groups, has_validation=has_validation)


def subject_folds(
    items: SplitItems,
    folds: Sequence[Collection[str]],
    *,
    protocol: str,
    has_validation: bool = False,
) -> list[Split]:
    """Return one split for each of the given groups of subjects: that group is the test side.

    Subjects that are named but not there are passed over and remarked upon.

    Raises:
        DatasetError: A subject is unknown or in no group, or nobody of a group is there.
        UsageError: A subject is in two groups.
    """
    _require_subjects(items, at_least=2)
    named = [name for fold in folds for name in fold]
    if len(set(named)) != len(named):
        raise UsageError(f"expected each subject in one fold of {protocol!r}; one is in two")
    strangers = sorted(set(items.subject_names) - set(named))
    if strangers:
        raise DatasetError(
            f"expected every subject in a fold of {protocol!r}; {', '.join(strangers[:5])} "
            f"({len(strangers)} in all) are in none; use subject_k_fold"
        )
    code_of = {name: code for code, name in enumerate(items.subject_names)}
    groups = [[code_of[name] for name in fold if name in code_of] for fold in folds]
    for number, group in enumerate(groups, start=1):
        if not group:
            raise DatasetError(
                f"expected someone of fold {number} of {protocol!r} in the data; nobody of "
                f"{', '.join(sorted(folds[number - 1]))} is there; use subject_k_fold"
            )
    absent = sorted(set(named) - set(items.subject_names))
    remarks = (f"not in the data: subjects {', '.join(absent)}",) if absent else ()
    return _rotate(items, protocol, groups, has_validation=has_validation, remarks=remarks)


def actor_folds(items: SplitItems, *, has_validation: bool = False) -> list[Split]:
    """Return RAVDESS' five actor-held-out splits (`RAVDESS_ACTOR_FOLDS`).

    A subject's actor is the number at the end of its name: `Actor_07`, `07` and `7` are one.

    Raises:
        DatasetError: A subject has no such number, or is none of the 24.
    """
    _require_subjects(items, at_least=2)
    names_of: dict[int, list[str]] = {}
    for name in items.subject_names:
        found = _TRAILING_NUMBER.search(name)
        if found is None:
            raise DatasetError(
                f"expected RAVDESS' subjects to end in their actor's number; got {name!r}"
            )
        names_of.setdefault(int(found[1]), []).append(name)
    folds = [
        [name for actor in fold for name in names_of.pop(actor, [f"actor {actor}"])]
        for fold in RAVDESS_ACTOR_FOLDS
    ]
    if names_of:
        raise DatasetError(
            f"expected actors 1 to 24; got {', '.join(str(actor) for actor in sorted(names_of))}"
        )
    return subject_folds(
        items, folds, protocol="RAVDESS actor folds", has_validation=has_validation
    )


def official_split(items: SplitItems, *, protocol: str = "official partition") -> Split:
    """Return the split that the data set's makers state (ABAW, AVEC, FER2013).

    Raises:
        DatasetError: There are no partitions, or only one side of them.
    """
    partitions = items.partitions or (None,) * len(items)
    sides: dict[SideName, NDArray[np.int64]] = {
        side: np.flatnonzero([partition == side for partition in partitions]) for side in SIDES
    }
    sizes = {side: len(positions) for side, positions in sides.items()}
    if not sizes["train"] or not (sizes["validation"] or sizes["test"]):
        got = ", ".join(f"{size} {side}" for side, size in sizes.items())
        raise DatasetError(
            "expected items with an official partition, on train and on validation or test; got "
            f"{got} of {len(items)} items; choose another protocol"
        )
    without = len(items) - sum(sizes.values())
    remarks = (f"{without} items without a partition left out",) if without else ()
    return Split(protocol=protocol, fold="", items=items, sides=sides, remarks=remarks)


def random_split(
    items: SplitItems, *, shares: tuple[float, float, float] = PAPER_SHARES, seed: int = 0
) -> Split:
    """Return a random split of the *items*, whoever is seen in them, as abdullah2020 does.

    It leaks wherever a subject has several items; reading a side then raises unless leaks are
    allowed (`split.verified(allow_leaks=True)`).

    Args:
        items: What to divide.
        shares: Of train, validation and test; each is rounded down, the rest goes to test (4904
            items at 80:10:10 give the paper's 3923, 490 and 491).
        seed: Of the shuffling.

    Raises:
        UsageError: The shares are not shares.
        DatasetError: There are fewer items than sides.
    """
    counts = _side_counts(len(items), shares)
    by_id = np.array(sorted(range(len(items)), key=lambda at: items.item_ids[at]), np.int64)
    shuffled = np.random.default_rng(seed).permutation(by_id)
    bounds = np.cumsum(counts)[:-1]
    sides = dict(zip(SIDES, np.split(shuffled, bounds), strict=True))
    percent = ":".join(f"{100 * share:g}" for share in shares)
    return Split(protocol=f"random {percent} (seed {seed})", fold="", items=items, sides=sides)


def subject_holdout(
    items: SplitItems, *, validation_share: float = 0.2, test_share: float = 0.0, seed: int = 0
) -> Split:
    """Return a random split of the *subjects*: by default 80:20 by participant, as tzirakis2021.

    Args:
        items: With `subjects`.
        validation_share: Share of the subjects kept for choosing.
        test_share: Share of the subjects kept for measuring.
        seed: Of the shuffling.

    Raises:
        DatasetError: A subject is unknown, or there are too few.
        UsageError: The shares are not shares.
    """
    _require_subjects(items, at_least=2)
    shares = (1 - validation_share - test_share, validation_share, test_share)
    counts = _side_counts(len(items.subject_names), shares)
    shuffled = np.random.default_rng(seed).permutation(len(items.subject_names))
    parts = np.split(shuffled, np.cumsum(counts)[:-1])
    percent = ":".join(f"{100 * share:g}" for share in shares if share)
    return _split_by_subject(
        items,
        f"{percent} by subject (seed {seed})",
        "",
        {side: part.tolist() for side, part in zip(SIDES, parts, strict=True)},
    )


def abdullah2020_splits(items: SplitItems, *, seed: int = 0) -> list[Split]:
    """Return the paper's random 80:10:10, leaks allowed and named, then the five actor folds.

    The two belong side by side: holding the actors out costs published systems about 20 points.
    In the actor folds the next fold is the validation side.

    Raises:
        DatasetError: As `random_split` and `actor_folds` say.
    """
    paper = random_split(items, seed=seed).verified(allow_leaks=True)
    return [paper, *actor_folds(items, has_validation=True)]


def _require_subjects(items: SplitItems, *, at_least: int) -> None:
    unknown = np.flatnonzero(items.subject_codes < 0)
    if len(unknown):
        raise DatasetError(
            "expected to know the subject of every item, to keep subjects apart; it is unknown for "
            f"{len(unknown)} of {len(items)} ({items.item_ids[int(unknown[0])]!r} for one); choose "
            "the official partition or a random split"
        )
    if len(items.subject_names) < at_least:
        raise DatasetError(f"expected at least {at_least} subjects; got {len(items.subject_names)}")


def _split_by_subject(
    items: SplitItems,
    protocol: str,
    fold: str,
    subjects: dict[SideName, list[int]],
    remarks: tuple[str, ...] = (),
) -> Split:
    sides = {
        side: np.flatnonzero(np.isin(items.subject_codes, codes))
        for side, codes in subjects.items()
    }
    return Split(protocol=protocol, fold=fold, items=items, sides=sides, remarks=remarks)


def _rotate(
    items: SplitItems,
    protocol: str,
    groups: list[list[int]],
    *,
    has_validation: bool,
    remarks: tuple[str, ...] = (),
) -> list[Split]:
    """Make each group of subjects the test side once, the next one validation if asked for."""
    count = len(groups)
    splits = []
    for test in range(count):
        kept = (test + 1) % count if has_validation else None
        learned = [
            code for fold in range(count) if fold not in (test, kept) for code in groups[fold]
        ]
        chosen = [] if kept is None else groups[kept]
        subjects: dict[SideName, list[int]] = {
            "train": learned,
            "validation": chosen,
            "test": groups[test],
        }
        fold_name = f"fold {test + 1} of {count}"
        splits.append(_split_by_subject(items, protocol, fold_name, subjects, remarks))
    return splits


def _side_counts(count: int, shares: tuple[float, float, float]) -> list[int]:
    """Divide `count` by shares: rounded down, the rest to the last side, none with a share empty.

    >>> _side_counts(4904, (0.8, 0.1, 0.1))
    [3923, 490, 491]
    """
    if min(shares) < -1e-9 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6) or shares[0] <= 0:
        raise UsageError(
            f"expected shares of at least 0 that sum to 1, some for train; got {shares}"
        )
    wanted = [at for at, share in enumerate(shares) if share > 1e-9]
    if count < len(wanted):
        raise DatasetError(f"expected at least {len(wanted)} to divide by {shares}; got {count}")
    # 0.29 * 100 is 28.999999999999996: what is meant to be whole must not be rounded down.
    counts = [math.floor(share * count + 1e-9) for share in shares]
    counts[wanted[-1]] += count - sum(counts)
    for at in wanted:
        if not counts[at]:
            counts[int(np.argmax(counts))] -= 1
            counts[at] = 1
    return counts


def _class_counts(items: SplitItems) -> NDArray[np.float64]:
    """Count `(subjects, 1 + classes)`: all items of each subject, then those of each class."""
    classes = 0 if items.labels is None else int(items.labels.max(initial=-1)) + 1
    counts = np.zeros((len(items.subject_names), 1 + classes))
    counts[:, 0] = np.bincount(items.subject_codes, minlength=len(counts))
    if items.labels is not None:
        has_label = items.labels >= 0
        np.add.at(counts, (items.subject_codes[has_label], 1 + items.labels[has_label]), 1)
    return counts


def _stratify(counts: NDArray[np.float64], folds: int, seed: int) -> NDArray[np.int64]:
    """Give each of `(subjects, columns)` a fold so that the folds' columns are nearly equal."""
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(shares))
    order = order[np.argsort(-shares[order].std(axis=1) - shares[order].sum(axis=1), kind="stable")]
    totals = np.zeros((folds, shares.shape[1]))
    sizes = np.zeros(folds, np.int64)
    fold_of = np.empty(len(shares), np.int64)
    for done, subject in enumerate(order):
        # How far the folds' totals differ after each choice: only the square of the one that
        # changes matters, as the sum over folds is the same for all.
        cost = (2 * totals * shares[subject]).sum(axis=1) + 1e-9 * sizes
        if len(order) - done <= np.sum(sizes == 0):
            cost[sizes > 0] = np.inf
        fold = int(np.argmin(cost))
        fold_of[subject] = fold
        totals[fold] += shares[subject]
        sizes[fold] += 1
    return fold_of
