"""AUROC agrees with scikit-learn on the labels that exist."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from petct_ext.training.auroc import MaskedAUROC, masked_auroc


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn_with_ties_and_gaps(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 10, (40, 3), generator=generator).float()
    labels = torch.randint(0, 2, (40, 3), generator=generator).float()
    labels[torch.rand(40, 3, generator=generator) < 0.3] = torch.nan
    for region, area in enumerate(masked_auroc(scores, labels).tolist()):
        exists = ~labels[:, region].isnan()
        assert area == pytest.approx(roc_auc_score(labels[exists, region], scores[exists, region]))


def test_reversing_the_scores_mirrors_the_area() -> None:
    scores, labels = torch.rand(30, 2), (torch.arange(60).reshape(30, 2) % 3 == 0).float()
    assert torch.allclose(masked_auroc(-scores, labels), 1 - masked_auroc(scores, labels))


def test_region_with_one_class_is_undefined_and_left_out_of_the_mean() -> None:
    metric = MaskedAUROC()
    metric(torch.tensor([[0.9, 0.1], [0.2, 0.3]]), torch.tensor([[0.8, 1.0], [0.1, 0.9]]))
    assert masked_auroc(torch.rand(2, 1), torch.ones(2, 1)).isnan().all()
    assert metric.aggregate() == 1.0


def test_refuses_soft_labels() -> None:
    with pytest.raises(ValueError, match="threshold probabilistic labels"):
        masked_auroc(torch.rand(2, 1), torch.tensor([[0.5], [1.0]]))
