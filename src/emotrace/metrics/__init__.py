"""Measures of how well predictions fit the truth: pure functions on numpy arrays.

| module | measures |
|---|---|
| `classification` | one label out of several: accuracy, recall, F1, calibration |
| `regression` | valence and arousal: concordance correlation, Pearson's, root mean squared error |
| `multilabel` | several labels at once (action units): F1 and average precision for each |
| `bootstrap` | intervals and differences of any measure, over items or whole groups |
| `mcnemar` | two classifiers on the same items |

Needs numpy alone. `docs/metrics.md` says what to report.
"""

from __future__ import annotations

from emotrace.metrics.bootstrap import (
    PairedDifference,
    bootstrap_interval,
    bootstrap_over_groups,
    paired_bootstrap,
)
from emotrace.metrics.classification import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    kl_divergence,
    macro_f1,
    recall_per_class,
    unweighted_average_recall,
)
from emotrace.metrics.mcnemar import McNemarResult, mcnemar_test
from emotrace.metrics.moments import PairedMoments, paired_moments
from emotrace.metrics.multilabel import average_precision_per_label, f1_per_label
from emotrace.metrics.regression import (
    MeasureScores,
    RegressionScores,
    compare_regressions,
    concordance_correlation,
    concordance_over_shuffled_batches,
    pearson_correlation,
    root_mean_squared_error,
    score_regression,
)

__all__ = [
    "McNemarResult",
    "MeasureScores",
    "PairedDifference",
    "PairedMoments",
    "RegressionScores",
    "accuracy",
    "average_precision_per_label",
    "bootstrap_interval",
    "bootstrap_over_groups",
    "compare_regressions",
    "concordance_correlation",
    "concordance_over_shuffled_batches",
    "confusion_matrix",
    "expected_calibration_error",
    "f1_per_label",
    "kl_divergence",
    "macro_f1",
    "mcnemar_test",
    "paired_bootstrap",
    "paired_moments",
    "pearson_correlation",
    "recall_per_class",
    "root_mean_squared_error",
    "score_regression",
    "unweighted_average_recall",
]
