"""Statistics of predictions: arrays and tables in, tables out."""

from petct_ext.statistics.bootstrap import auroc, auroc_draws, draw_weights, percentile_interval
from petct_ext.statistics.calibration import (
    ReliabilityBins,
    brier_score,
    expected_calibration_error,
    reliability_bins,
)
from petct_ext.statistics.delong import DeLongResult, delong_interval, delong_test
from petct_ext.statistics.permutation import (
    PermutationResult,
    bonferroni,
    holm,
    sign_flip_test,
    unpaired_test,
)

__all__ = [
    "DeLongResult",
    "PermutationResult",
    "ReliabilityBins",
    "auroc",
    "auroc_draws",
    "bonferroni",
    "brier_score",
    "delong_interval",
    "delong_test",
    "draw_weights",
    "expected_calibration_error",
    "holm",
    "percentile_interval",
    "reliability_bins",
    "sign_flip_test",
    "unpaired_test",
]
