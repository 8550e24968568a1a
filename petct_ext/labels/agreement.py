"""How well weak labels agree with a reader's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from petct_ext.ontology import RegionOntology

__all__ = ["audit_labels", "binary_scores"]


def binary_scores(
    probability: npt.ArrayLike, truth: npt.ArrayLike, *, threshold: float = 0.5
) -> dict[str, float]:
    """Scores probabilities against 0/1 labels.

    Args:
        probability: shape ``(N,)``, in [0, 1]; NaN is left out.
        truth: shape ``(N,)``, 0 or 1; NaN is left out.
        threshold: a probability at or above it counts as abnormal.

    Returns:
        ``num``, ``num_abnormal``, ``auroc`` (ties count one half), ``f1``, ``sensitivity`` and
        ``specificity``; NaN where they are not defined (no abnormal or no normal case).

    Example:
        >>> binary_scores([0.9, 0.2, 0.6, 0.1], [1, 0, 1, 1])["auroc"]
        0.6666666666666666
    """
    p, y = np.asarray(probability, dtype=float), np.asarray(truth, dtype=float)
    known = ~(np.isnan(p) | np.isnan(y))
    p, y = p[known], y[known] == 1
    abnormal, normal = int(y.sum()), int((~y).sum())
    called = p >= threshold
    true_positive, false_positive = int((called & y).sum()), int((called & ~y).sum())
    area = math.nan
    if abnormal and normal:
        ranks = rankdata(p)
        area = float((ranks[y].sum() - abnormal * (abnormal + 1) / 2) / (abnormal * normal))
    found = abnormal + true_positive + false_positive
    return {
        "num": len(y),
        "num_abnormal": abnormal,
        "auroc": area,
        "f1": 2 * true_positive / found if found else math.nan,
        "sensitivity": true_positive / abnormal if abnormal else math.nan,
        "specificity": 1 - false_positive / normal if normal else math.nan,
    }


def audit_labels(
    labelers: Mapping[str, pd.DataFrame], hand_labels: pd.DataFrame, ontology: RegionOntology
) -> pd.DataFrame:
    """Compares weak labels with hand labels, per region and over the main regions together.

    Args:
        labelers: name of the labeler -> its labels, ``exam_id`` and one column per region.
        hand_labels: ``exam_id`` and a 0/1 column per region; regions it lacks are left out.
        ontology: regions.

    Returns:
        One row per labeler and region with the scores of :func:`binary_scores`; the rows named
        ``main_regions`` pool the decisions of all main regions (micro average).
    """
    rows: list[dict[str, Any]] = []
    truth = hand_labels.set_index("exam_id")
    judged = [name for name in ontology if name in truth.columns]
    main = [name for name in judged if ontology[name].main]
    for labeler, table in labelers.items():
        labels = table.set_index("exam_id").reindex(truth.index)
        rows.extend(
            {"labeler": labeler, "region": name, **_scores(labels[[name]], truth[[name]])}
            for name in judged
        )
        if main:
            scores = _scores(labels[main], truth[main])
            rows.append({"labeler": labeler, "region": "main_regions", **scores})
    return pd.DataFrame(rows)


def _scores(labels: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    hand = truth.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    return binary_scores(labels.to_numpy(dtype=float).ravel(), hand.ravel())
