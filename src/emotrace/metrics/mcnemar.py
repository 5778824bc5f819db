"""McNemar's test: do two classifiers differ on the same items?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemarResult:
    """What two classifiers get right on the same items, and how likely such a split is by chance.

    The p-values are those of the hypothesis that both are right equally often.
    """

    count: int
    """Items: the n to report."""
    both_right: int
    only_first_right: int
    only_second_right: int
    neither_right: int
    exact_p: float
    """Exact conditional test, two-sided: never too small, often much too large."""
    mid_p: float
    """Mid-p test, two-sided: the one to report (see `mcnemar_test`)."""


def mcnemar_test(
    truth: NDArray[np.integer], first: NDArray[np.integer], second: NDArray[np.integer]
) -> McNemarResult:
    """Test whether two classifiers are right equally often on the same items.

    Only items that one of them gets right and the other wrong count. If both are equally good, the
    smaller of the two counts, k of n, is binomial with p = 1/2. Fagerland, Lydersen and Laake
    (2013), "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than
    exact conditional", BMC Medical Research Methodology 13:91:

    - exact p = 2 P(X <= k), or 1 where the two counts are equal;
    - mid-p = 2 P(X <= k) - P(X = k), or 1 - P(X = k) / 2 where the two counts are equal. In their
      9,595 scenarios it never exceeded the nominal level, and had more power.

    The items must be independent of each other. Frames of one video are not: there, take one item a
    video or subject, or `paired_bootstrap` over these.

    Args:
        truth: `(n,)` labels.
        first: `(n,)`: the first classifier's labels.
        second: `(n,)`: the second one's.

    Raises:
        UsageError: The lengths differ.

    >>> found = mcnemar_test(np.zeros(4), np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]))
    >>> found.only_first_right, found.only_second_right, found.exact_p, found.mid_p
    (2, 0, 0.5, 0.25)
    """
    if not truth.shape == first.shape == second.shape or truth.ndim != 1:
        raise UsageError(
            "expected truth and two predictions of shape (n,); "
            f"got {truth.shape}, {first.shape} and {second.shape}"
        )
    is_first, is_second = first == truth, second == truth
    only_first = int(np.count_nonzero(is_first & ~is_second))
    only_second = int(np.count_nonzero(~is_first & is_second))
    both = int(np.count_nonzero(is_first & is_second))
    exact, mid = mcnemar_p_values(only_first, only_second)
    return McNemarResult(
        count=len(truth),
        both_right=both,
        only_first_right=only_first,
        only_second_right=only_second,
        neither_right=len(truth) - both - only_first - only_second,
        exact_p=exact,
        mid_p=mid,
    )


def mcnemar_p_values(only_first: int, only_second: int) -> tuple[float, float]:
    """Return the exact and the mid-p value, two-sided, from the two counts that differ.

    Fagerland et al. (2013) work this example (their Table 1, 1 against 7):

    >>> [round(p, 4) for p in mcnemar_p_values(1, 7)]
    [0.0703, 0.0391]
    """
    trials, fewer = only_first + only_second, min(only_first, only_second)
    if trials == 0:
        return 1.0, 1.0
    # ln P(X = i) for i = 0 ... fewer, each from the one before: (n - i + 1) / i.
    steps = np.arange(1, fewer + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log((trials - steps + 1) / steps))])
    terms = np.exp(logs - trials * math.log(2))
    point = float(terms[-1])
    if only_first == only_second:
        return 1.0, 1.0 - point / 2
    # Smallest terms first, so that they are not lost beside the large ones.
    tail = 2 * float(np.sum(terms))
    return min(1.0, tail), min(1.0, tail - point)
