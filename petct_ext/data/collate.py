"""Exams of different lengths in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from petct_ext.keys import EXAM_ID, IMAGE, LABEL, NUM_SLICES, SPLIT

__all__ = ["pad_slices"]


def pad_slices(exams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Joins exams into a batch, padding all to the longest along Z.

    Args:
        exams: items with ``image`` (2, X, Y, Z), ``label`` (R,), ``exam_id`` and, if they have
            it, ``split``; Z may differ.

    Returns:
        ``image`` (B, 2, X, Y, Zmax), a plain tensor, zeros (air, no uptake) at the high end of
        shorter exams; ``num_slices`` (B,), how many slices are real; ``label`` (B, R); lists
        ``exam_id`` and ``split``.
    """
    # A MetaTensor would take every operation of the network through Python, twice as slow.
    images = [convert_to_tensor(exam[IMAGE], track_meta=False) for exam in exams]
    longest = max(image.shape[-1] for image in images)
    return {
        IMAGE: torch.stack([F.pad(image, (0, longest - image.shape[-1])) for image in images]),
        NUM_SLICES: torch.tensor([image.shape[-1] for image in images]),
        LABEL: default_collate([torch.as_tensor(exam[LABEL]) for exam in exams]),
        EXAM_ID: [exam[EXAM_ID] for exam in exams],
        SPLIT: [exam.get(SPLIT, "") for exam in exams],
    }
