"""How far the results of one recipe lie apart when only the seed differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.errors import UsageError
from emotrace.training.measures import MEASURES
from emotrace.training.result_tables import ResultTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emotrace.bundle_spec import BundleSpec

_SAME: Final = "sha256"
"""Of the training data: runs on other data are no seeds of each other."""


def summarise_seeds(specs: Sequence[BundleSpec]) -> dict[str, Any]:
    """Return mean and standard deviation over bundles that differ in their seed.

    Args:
        specs: Of bundles that `export_run` made, at least two.

    Returns:
        Ready for JSON: `runs`, `seeds`, and a list of `measures` with `name`, `prior`, `values`,
        `mean`, `sd` (sample standard deviation, n - 1), `must`, `aim`, `is_share`, and mean and sd
        again without the images that are identical to a training image, where that is measured.

    Raises:
        UsageError: There are fewer than two, two have the same seed, or a bundle says nothing of
            its training.
    """
    if len(specs) < 2:
        raise UsageError(f"expected at least two bundles to compare seeds; got {len(specs)}")
    for spec in specs:
        if not {"training", "test"} <= set(spec.results):
            raise UsageError(
                f"expected bundles that state their training and test results; {spec.name} "
                "does not: export its run again"
            )
    seeds = [int(spec.results["training"]["seed"]) for spec in specs]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"expected runs of different seeds; got {seeds}")
    recipes = [_without_seed(spec.results["training"]) for spec in specs]
    if any(recipe != recipes[0] for recipe in recipes):
        raise UsageError("expected runs that differ in their seed alone; their recipes differ")
    return {"runs": len(specs), "seeds": seeds, "measures": _rows(specs)}


def _rows(specs: Sequence[BundleSpec]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(name: str, prior: str, values: Sequence[float | None], **more: Any) -> None:
        if any(value is None for value in values):
            return
        rows.append({"name": name, "prior": prior, **_spread(values), **more})

    for measure in MEASURES:
        if len({measure.prior_in(spec.results["test"]) for spec in specs}) > 1:
            continue  # of one bundle without that prior it is another number
        values = [measure.of(spec.results["test"]) for spec in specs]
        alone = [measure.of(spec.results["test"], without_duplicates=True) for spec in specs]
        more: dict[str, Any] = {"is_share": measure.is_share}
        more |= {"must": measure.must, "aim": measure.aim}
        if None not in alone:
            more["without_duplicates"] = _spread(alone)
        add(measure.name, measure.prior_in(specs[0].results["test"]) or "", values, **more)
    of_default = [spec.results["test"]["priors"]["default"]["majority"] for spec in specs]
    for name in of_default[0]["recall"]:
        values = [scores["recall"].get(name) for scores in of_default]
        add(f"FER+ majority: recall of {name}", "default", values, is_share=True)
    _add_robustness(specs, add)
    return rows


def _add_robustness(specs: Sequence[BundleSpec], add: Any) -> None:
    found = [spec.results["test"].get("robustness") for spec in specs]
    if None in found:
        return
    for place, condition in enumerate(found[0]["conditions"]):
        values = [of["conditions"][place]["accuracy_lost"] / 100 for of in found]
        add(f"{condition['name']}: accuracy lost", "training", values, is_share=True)


def _spread(values: Sequence[Any]) -> dict[str, Any]:
    return {
        "values": list(values),
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
    }


def _without_seed(training: Mapping[str, Any]) -> dict[str, Any]:
    return {"recipe": {**training["recipe"], "seed": None}, _SAME: training["data_sha256"]}


def seeds_table(summary: Mapping[str, Any]) -> ResultTable:
    """Return the table of what `summarise_seeds` found: mean and sd, in % where it is a share."""

    def shown(spread: Mapping[str, Any] | None, *, is_share: bool) -> str:
        if spread is None:
            return ""
        if is_share:
            return f"{100 * spread['mean']:.1f} ± {100 * spread['sd']:.1f}"
        return f"{spread['mean']:.3f} ± {spread['sd']:.3f}"

    def target(value: float | None, *, is_share: bool) -> str:
        return "" if value is None else f"{100 * value:g}" if is_share else f"{value:g}"

    rows = []
    for row in summary["measures"]:
        is_share = bool(row["is_share"])
        rows.append(
            (
                row["name"],
                row["prior"],
                shown(row, is_share=is_share),
                shown(row.get("without_duplicates"), is_share=is_share),
                target(row.get("must"), is_share=is_share),
                target(row.get("aim"), is_share=is_share),
            )
        )
    return ResultTable(
        title=f"Mean and standard deviation over {summary['runs']} seeds",
        note="In %, but for ECE (expected calibration error) and KL (divergence).",
        head=("measure", "prior", "mean ± sd", "new images", "must", "aim"),
        rows=tuple(rows),
    )


def with_seeds(spec: BundleSpec, summary: Mapping[str, Any]) -> BundleSpec:
    """Return the spec with the spread over seeds among its results, for its card."""
    return replace(spec, results={**spec.results, "seeds": dict(summary)})
