"""Keys of the dictionaries that travel through transforms, engines and handlers."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ATTENTION",
    "CT",
    "EXAM_ID",
    "IMAGE",
    "LABEL",
    "MASK",
    "NUM_SLICES",
    "PATIENT_ID",
    "PET",
    "PRED",
    "SPLIT",
]

EXAM_ID: Final = "exam_id"
"""Pseudonymous id of the exam (str)."""
PATIENT_ID: Final = "patient_id"
"""Pseudonymous id of the patient (str)."""
PET: Final = "pet"
"""PET volume in SUVbw (g/mL)."""
CT: Final = "ct"
"""CT volume in HU."""
IMAGE: Final = "image"
"""Two-channel volume (2, X, Y, Z), PET first."""
LABEL: Final = "label"
"""Probabilities (R,) in [0, 1], NaN where unknown."""
MASK: Final = "mask"
"""True where a slice or token is real, false where it is padding."""
NUM_SLICES: Final = "num_slices"
"""How many slices of a padded volume are real (int)."""
SPLIT: Final = "split"
"""Section of the datalist that the exam is in: training, validation or test (str)."""
PRED: Final = "pred"
"""Output of the network, MONAI's name."""
ATTENTION: Final = "attention"
"""Attention weights of the region heads."""
