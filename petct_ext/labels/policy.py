"""What it means that a report does not mention a region."""

from __future__ import annotations

import math
from enum import StrEnum

__all__ = ["UnmentionedPolicy"]


class UnmentionedPolicy(StrEnum):
    """What the label of a region is that a report does not mention.

    Example:
        >>> UnmentionedPolicy("normal").label
        0.0
    """

    NORMAL = "normal"
    """Probability 0: radiologists report what is abnormal. As published (Eyuboglu et al. 2021)."""
    UNKNOWN = "unknown"
    """NaN: the loss and the metrics leave the region out for this exam."""

    @property
    def label(self) -> float:
        """Label of a region that the report does not mention."""
        return 0.0 if self is UnmentionedPolicy.NORMAL else math.nan
