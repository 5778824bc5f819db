"""Tables say what the results say, in the terminal's width."""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Any

import pytest

from emotrace.labels import EMOTIONS
from emotrace.training.measures import COST_MEASURES, MEASURES
from emotrace.training.result_tables import (
    ResultTable,
    all_tables,
    confusion_table,
    flips_table,
    measures_table,
    plain_facts,
    precision_table,
    recall_table,
    robustness_table,
    scores_table,
)

Results = dict[str, Any]


def test_a_table_as_markdown_and_html() -> None:
    table = ResultTable(title="t", head=("a", "b"), rows=(("x < y", "1"), ("z", "2")))
    assert table.to_markdown().splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x < y | 1 |",
        "| z | 2 |",
    ]
    assert "<tr><td>x &lt; y</td><td>1</td></tr>" in table.to_html()
    assert table.to_html().count("<tr>") == 3


def test_every_table_has_as_many_cells_as_columns(full_results: Results) -> None:
    tables = all_tables(full_results)
    assert len(tables) == 9
    for table in tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.head)}


def test_every_measure_is_found_with_and_without_duplicates(full_results: Results) -> None:
    scores = full_results["priors"]
    for measure in MEASURES:
        assert measure.of(full_results) is not None, measure
        assert measure.of(full_results, without_duplicates=True) is not None, measure
    rows = {(row[0], row[1]): row for row in measures_table(full_results).rows}
    assert len(rows) == len(MEASURES) + len(COST_MEASURES)
    row = rows["FER+ majority: average recall", "default"]
    found = scores["default"]["majority"]
    assert row[2] == f"{100 * found['unweighted_average_recall']:.1f}"
    low, high = found["unweighted_average_recall_interval_95"]
    assert row[3] == f"{100 * low:.1f}-{100 * high:.1f}"
    apart = found["without_duplicates"]["unweighted_average_recall"]
    assert row[4] == f"{100 * apart:.1f}"
    assert row[5:] == ("74", "80")
    for name, prior, key in (
        ("KL to votes, no single ones", "training", "kl_divergence_to_votes"),
        ("KL to the votes as cast, nats", "votes", "kl_divergence_to_cast_votes"),
    ):
        row, score = rows[name, prior], scores[prior]
        assert row[2] == f"{score[key]:.3f}"
        low, high = score[f"{key}_interval_95"]
        assert row[3] == f"{low:.3f}-{high:.3f}"
        assert low < score[key] < high
        assert row[4] == f"{score[f'{key}_without_duplicates']:.3f}"


def test_a_bundle_without_the_later_priors_is_judged_by_those_that_come_nearest(
    full_results: Results,
) -> None:
    priors = {k: v for k, v in full_results["priors"].items() if k not in ("votes", "fer2013")}
    results = {**full_results, "priors": priors}
    for measure in MEASURES:
        value, interval = measure.of(results), measure.interval_of(results)
        stands_in = {"votes": "training", "fer2013": "uniform"}.get(measure.prior or "")
        if stands_in is not None:
            other = dataclasses.replace(measure, prior=stands_in)
            assert (value, interval) == (other.of(full_results), other.interval_of(full_results))
            assert measure.prior_in(results) == stands_in
        assert value is not None
    named = {(row[0], row[1]) for row in measures_table(results).rows}
    assert ("KL to the votes as cast, nats", "training") in named
    assert "as they were cast" not in " ".join(plain_facts(results))


def test_shares_of_annotators_are_no_answer_to_be_right_with(full_results: Results) -> None:
    assert "votes" in full_results["priors"]
    for table in all_tables(full_results):
        if table.title != "What it is judged by":
            assert all("votes" not in row for row in table.rows), table.title
    found = full_results["priors"]["votes"]["kl_divergence_to_cast_votes"]
    assert f"prior votes: {found:.3f}" in " ".join(plain_facts(full_results))


def test_costs_stand_beside_what_was_allowed(full_results: Results) -> None:
    rows = {row[0]: row for row in measures_table(full_results).rows}
    cost, speed = full_results["cost"], full_results["speed"]
    row = rows["parameters, millions"]
    assert row[2] == f"{cost['parameters'] / 1e6:.2f}"
    assert row[5:] == ("3", "1")
    row = rows["ms a face, one thread, now"]
    assert row[2] == f"{speed['milliseconds_median']:.2f}"
    unmeasured = {**full_results, "speed": {}, "cost": {}}
    assert len(measures_table(unmeasured).rows) == len(MEASURES)


def test_precision_is_of_what_is_called_so(full_results: Results) -> None:
    matrix = full_results["priors"]["default"]["majority"]["confusion_matrix"]
    row = next(row for row in precision_table(full_results).rows if row[0] == "default")
    for name, cell in zip(EMOTIONS, row[1:], strict=True):
        called = sum(of_label[name] for of_label in matrix.values())
        right = matrix[name][name]
        assert cell == (f"{100 * right / called:.1f}" if called else "-")


def test_fer2013_is_judged_by_its_own_prior_or_the_uniform_one(full_results: Results) -> None:
    measure = next(m for m in MEASURES if m.name == "FER2013 labels: accuracy")
    assert measure.of(full_results) == full_results["priors"]["fer2013"]["fer2013"]["accuracy"]
    older = copy.deepcopy(full_results)
    del older["priors"]["fer2013"]
    assert measure.of(older) == older["priors"]["uniform"]["fer2013"]["accuracy"]
    assert measure.interval_of(older) is not None


def test_ferplus_is_not_scored_by_fer2013s_prior(full_results: Results) -> None:
    rows = [(row[0], row[2]) for row in scores_table(full_results).rows]
    assert ("FER2013", "fer2013") in rows
    assert ("FER+ majority", "fer2013") not in rows
    assert len(rows) == 10
    assert [row[0] for row in recall_table(full_results).rows] == [
        "training",
        "default",
        "uniform",
        "fer2013",
    ]
    theirs = recall_table(full_results).rows[-1]
    assert theirs[1 + EMOTIONS.index("contempt")] == "-"


def test_recall_without_duplicates_names_its_own_count(full_results: Results) -> None:
    assert "n = 47" in recall_table(full_results).note
    assert "n = 45" in recall_table(full_results, without_duplicates=True).note


def test_the_confusion_matrix_counts_every_face(full_results: Results) -> None:
    table = confusion_table(full_results, "training")
    assert sum(int(cell) for row in table.rows for cell in row[1:-1]) == 47
    assert [row[0] for row in table.rows] == list(EMOTIONS)


def test_flips_state_what_they_gain(full_results: Results) -> None:
    row = next(r for r in flips_table(full_results).rows if r[:2] == ("FER+ majority", "default"))
    flipped = full_results["with_flips"]["default"]["majority"]["accuracy"]
    plain = full_results["priors"]["default"]["majority"]["accuracy"]
    assert row[2:4] == (f"{100 * flipped:.1f}", f"{100 * (flipped - plain):+.1f}")


@pytest.mark.parametrize("rejects", [True, False])
def test_rejected_faces_are_shown_where_the_bundle_rejects(
    full_results: Results, rejects: bool
) -> None:
    results = copy.deepcopy(full_results)
    if not rejects:
        for row in (results["robustness"]["unchanged"], *results["robustness"]["conditions"]):
            row["rejected"] = None
    table = robustness_table(results)
    assert ("rejected" in table.head) is rejects
    assert next(row for row in table.rows if row[0] == "24 px")[3] == "4"
    assert next(row for row in table.rows if row[0] == "roll 20")[3] == ""


def test_facts_say_cost_speed_and_what_the_thresholds_do(full_results: Results) -> None:
    text = "\n".join(plain_facts(full_results))
    assert "2,016,890 parameters, 86.0 million multiply-adds" in text
    assert "2.00 ms a face" in text
    assert "Test 1" in text
    assert re.search(r"uncertain below 0\.40: \d+\.\d% of all faces are kept", text)
    assert re.search(r"no face below 0\.200: \d+\.\d\d% of 48 faces", text)
    bare = {**full_results, "cost": {}, "uncertain": None, "not_face": None}
    assert len(plain_facts(bare)) == 2
