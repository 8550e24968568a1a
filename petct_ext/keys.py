"""Keys of the dictionaries that travel through transforms, engines and handlers.

Shapes: R regions or other outputs, X, Y, Z voxels; of reports B windows, L tokens, M mentions.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CT",
    "EXAM_ID",
    "IMAGE",
    "LABEL",
    "MENTION_LABEL",
    "MENTION_PLACES",
    "MENTION_PROB",
    "MENTION_RULE",
    "MENTION_TOKENS",
    "NUM_SLICES",
    "PET",
    "PRED",
    "REFERENCE",
    "SPLIT",
    "TOKEN_IDS",
]

EXAM_ID: Final = "exam_id"
"""Pseudonymous id of the exam (str)."""
PET: Final = "pet"
"""PET volume in SUVbw (g/mL)."""
CT: Final = "ct"
"""CT volume in HU."""
IMAGE: Final = "image"
"""Two-channel volume (2, X, Y, Z), PET first."""
LABEL: Final = "label"
"""Probabilities (R,) in [0, 1], NaN where unknown."""
NUM_SLICES: Final = "num_slices"
"""How many slices of a padded volume are real (int)."""
SPLIT: Final = "split"
"""Section of the datalist that the exam is in: training, validation or test (str)."""
PRED: Final = "pred"
"""Output of the network, MONAI's name."""
TOKEN_IDS: Final = "token_ids"
"""Token ids of report windows (B, L), int64."""
MENTION_TOKENS: Final = "mention_tokens"
"""Row, first and one past the last token of each mention (M, 3), int64."""
MENTION_LABEL: Final = "mention_label"
"""1 abnormal, 0 not, NaN unknown (M, 1)."""
MENTION_RULE: Final = "mention_rule"
"""Probability of an abnormal mention by rules (M, 1)."""
MENTION_PROB: Final = "mention_prob"
"""Probability of an abnormal mention by the network (M, 1)."""
REFERENCE: Final = "reference"
"""``mention_label`` among the outputs of the engine (M, 1)."""
MENTION_PLACES: Final = "mentions"
"""List of M dictionaries: exam_id, section, sentence, start, end, region."""
