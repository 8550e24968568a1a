"""Exams of different lengths in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, LABEL, SPLIT

__all__ = ["VOLUMES", "gather_exams", "stack_slices"]

VOLUMES: Final = "volumes"
"""Key of a batch: for each exam a dictionary with all that its item holds of volumes."""


def gather_exams(exams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Joins exams into a batch without touching their volumes.

    Volumes differ in length and are still as stored;
    :class:`petct_ext.engines.prepare_exams.PrepareExams` pads and stacks them on the device.

    Args:
        exams: items with ``label`` (R,), ``exam_id``, if they have it ``split``, and anything else,
            such as ``pet`` and ``ct`` (1, X, Y, Z) with their scales.

    Returns:
        ``volumes``, a list with what else the items hold; ``label`` (B, R); lists ``exam_id`` and
        ``split``.
    """
    known = (LABEL, EXAM_ID, SPLIT)
    return {
        VOLUMES: [{k: _plain(v) for k, v in exam.items() if k not in known} for exam in exams],
        LABEL: default_collate([torch.as_tensor(exam[LABEL]) for exam in exams]),
        EXAM_ID: [exam[EXAM_ID] for exam in exams],
        SPLIT: [exam.get(SPLIT, "") for exam in exams],
    }


def stack_slices(images: Sequence[Tensor], names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Pads exams to the longest along Z and stacks them.

    Args:
        images: each (C, X, Y, Z); Z may differ.
        names: of the exams, for errors.

    Returns:
        Plain tensor (B, C, X, Y, Zmax), zeros (air, no uptake) at the high end of shorter exams,
        and how many slices of each are real (B,), both on the device of the images.

    Raises:
        InputDataError: if channels or in-plane sizes differ.
    """
    first = images[0].shape[:3]
    for image, name in zip(images, names, strict=True):
        if image.shape[:3] != first:
            raise InputDataError(
                f"exam {name}: its image has shape {tuple(image.shape)}, but the batch begins with "
                f"{tuple(first)} channels and voxels in-plane (exam {names[0]}); prepare all exams "
                "with the same in-plane size, or set batch_size to 1."
            )
    longest = max(image.shape[-1] for image in images)
    # A MetaTensor would take every operation of the network through Python, twice as slow.
    padded = [_plain(F.pad(image, (0, longest - image.shape[-1]))) for image in images]
    num_slices, device = torch.tensor([image.shape[-1] for image in images]), padded[0].device
    if device.type == "cuda":
        num_slices = num_slices.pin_memory()  # else the copy waits for the work of the device
    return torch.stack(padded), num_slices.to(device, non_blocking=True)


def _plain(value: Any) -> Any:
    return convert_to_tensor(value, track_meta=False) if isinstance(value, Tensor) else value
