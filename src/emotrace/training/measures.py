"""The measures by which the default bundle is judged, and how each is found among its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.training.calibration import FER2013_PRIOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    Results = Mapping[str, Any]


KL_WITHOUT_SINGLE_VOTES: Final = "kl_divergence_to_votes"
KL_TO_CAST_VOTES: Final = "kl_divergence_to_cast_votes"
_STANDS_IN: Final = {FER2013_PRIOR: "uniform", VOTES_PRIOR: "training"}
"""What of a bundle that lacks a prior comes nearest to it."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number that a bundle is judged by, and what was wanted of it before it was trained."""

    name: str
    path: tuple[str, ...]
    """Where `evaluate_ferplus` puts it; under the prior, where there is one."""
    prior: str | None = None
    """Under which it is taken; None for what does not depend on one."""
    must: float | None = None
    aim: float | None = None
    is_share: bool = True
    """Of 1, shown in per cent; else a plain number."""
    more_is_better: bool = True

    def of(self, results: Results, *, without_duplicates: bool = False) -> float | None:
        """Return its value, or None where the results lack it."""
        path = self._path_in(results)
        if without_duplicates:
            last = path[-1]
            alone = last in {KL_WITHOUT_SINGLE_VOTES, KL_TO_CAST_VOTES}
            ending = (f"{last}_without_duplicates",) if alone else ("without_duplicates", last)
            path = (*path[:-1], *ending)
        found = _find(results, path)
        return None if found is None else float(found)

    def interval_of(self, results: Results) -> tuple[float, float] | None:
        """Return its 95 % bootstrap interval, or None where there is none."""
        if self.prior is None:
            return None
        *path, last = self._path_in(results)
        found = _find(results, (*path, f"{last}_interval_95"))
        return None if found is None else (float(found[0]), float(found[1]))

    def prior_in(self, results: Results) -> str | None:
        """Return the prior under which it is found there: what comes nearest to its own if not."""
        if self.prior is None or self.prior in results["priors"]:
            return self.prior
        return _STANDS_IN.get(self.prior, self.prior)

    def _path_in(self, results: Results) -> tuple[str, ...]:
        prior = self.prior_in(results)
        return self.path if prior is None else ("priors", prior, *self.path)

    def show(self, value: float | None) -> str:
        """Return a value as text: per cent without the sign, or three decimals.

        >>> MEASURES[0].show(0.8812)
        '88.1'
        """
        if value is None:
            return "-"
        return f"{100 * value:.1f}" if self.is_share else f"{value:.3f}"

    def show_interval(self, interval: tuple[float, float] | None) -> str:
        """Return an interval as text, in the unit of `show`; nothing where there is none.

        >>> MEASURES[0].show_interval((0.8712, 0.8933))
        '87.1-89.3'
        """
        return "" if interval is None else "-".join(self.show(end) for end in interval)

    def show_wanted(self, value: float | None) -> str:
        """Return `must` or `aim` as text; nothing where nothing was wanted.

        >>> MEASURES[0].show_wanted(0.88)
        '88'
        """
        if value is None:
            return ""
        return f"{100 * value:g}" if self.is_share else f"{value:g}"


def _find(results: Results, path: tuple[str, ...]) -> Any:
    found: Any = results
    for step in path:
        if not isinstance(found, dict) or step not in found:
            return None
        found = found[step]
    return found


_ACCURACY: Final = "accuracy"
_RECALL: Final = "unweighted_average_recall"
_ERROR: Final = "calibration_error"

MEASURES: Final = (
    Measure(
        name="FER+ majority: accuracy",
        path=("majority", _ACCURACY),
        prior="training",
        must=0.88,
        aim=0.90,
    ),
    Measure(
        name="FER+ argmax: accuracy",
        path=("argmax", _ACCURACY),
        prior="training",
        must=0.84,
        aim=0.86,
    ),
    Measure(
        name="FER+ majority: average recall",
        path=("majority", _RECALL),
        prior="default",
        must=0.74,
        aim=0.80,
    ),
    Measure(name="FER+ majority: accuracy", path=("majority", _ACCURACY), prior="default"),
    Measure(name="FER+ majority: macro F1", path=("majority", "macro_f1"), prior="default"),
    Measure(
        name="FER2013 labels: accuracy",
        path=("fer2013", _ACCURACY),
        prior=FER2013_PRIOR,
        must=0.70,
        aim=0.73,
    ),
    Measure(
        name="FER2013 labels: average recall",
        path=("fer2013", _RECALL),
        prior=FER2013_PRIOR,
        must=0.68,
        aim=0.71,
    ),
    *(
        Measure(
            name=f"FER+ {protocol}: ECE",
            path=(protocol, _ERROR),
            prior=prior,
            must=0.03,
            aim=0.015,
            is_share=False,
            more_is_better=False,
        )
        for prior in ("default", "training")
        for protocol in ("majority", "argmax")
    ),
    *(
        Measure(
            name=name,
            path=(path,),
            prior=prior,
            must=0.26,
            aim=0.20,
            is_share=False,
            more_is_better=False,
        )
        for name, path, prior in (
            ("KL to the votes as cast, nats", KL_TO_CAST_VOTES, VOTES_PRIOR),
            ("KL to votes, no single ones", KL_WITHOUT_SINGLE_VOTES, "training"),
        )
    ),
)
"""Those of the tables in docs/default-model.md; on the test split, each with its prior."""


@dataclass(frozen=True, kw_only=True)
class CostMeasure:
    """What a bundle costs, and what it was allowed to."""

    name: str
    part: str
    """Of the results: `cost`, which the bundle states, or `speed`, measured at the time."""
    key: str
    scale: float
    """One of the unit that is shown."""
    digits: int
    must: float
    aim: float

    def show(self, results: Results) -> str | None:
        """Return its value as text, or None where the results lack it."""
        value = _find(results, (self.part, self.key))
        return None if value is None else f"{value / self.scale:.{self.digits}f}"


COST_MEASURES: Final = (
    CostMeasure(
        name="parameters, millions",
        part="cost",
        key="parameters",
        scale=1e6,
        digits=2,
        must=3,
        aim=1,
    ),
    CostMeasure(
        name="multiply-adds a face, millions",
        part="cost",
        key="multiply_adds",
        scale=1e6,
        digits=0,
        must=150,
        aim=60,
    ),
    CostMeasure(
        name="ms a face, one thread, now",
        part="speed",
        key="milliseconds_median",
        scale=1,
        digits=2,
        must=3,
        aim=1,
    ),
)
"""The lower rows of those tables."""
