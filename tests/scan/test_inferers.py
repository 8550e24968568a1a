"""A prediction belongs to its exam alone."""

from __future__ import annotations

import torch

from petct_ext.scan.inferers import ExamInferer
from tests.scan.networks.test_region_classifier import settled_network


def test_prediction_does_not_depend_on_the_others_in_the_batch() -> None:
    network, depths = settled_network(), [5, 12, 23]
    exams = [torch.rand(1, 2, 32, 32, depth) for depth in depths]
    batch = torch.cat([torch.nn.functional.pad(exam, [0, 23 - exam.shape[4]]) for exam in exams])
    with torch.no_grad():
        found = ExamInferer()(batch, network, num_slices=torch.tensor(depths))
        alone = torch.cat([network(exam) for exam in exams])
        together = network(batch, torch.tensor(depths))
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
    # What the inferer is for: in one batch the shorter ones see their padding.
    assert (together - alone)[:2].abs().max() > 0.01


def test_without_counts_all_slices_are_real() -> None:
    network, batch = settled_network(), torch.rand(2, 2, 32, 32, 9)
    with torch.no_grad():
        torch.testing.assert_close(
            ExamInferer()(batch, network), network(batch), atol=1e-5, rtol=1e-5
        )
