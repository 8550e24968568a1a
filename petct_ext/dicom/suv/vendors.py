"""What vendors put into elements of their own: a new one is an entry here.

Sources: GE's, Siemens' and Philips' DICOM conformance statements; QIBA's vendor-neutral SUV
pseudocode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import pydicom

from petct_ext.dicom.files.header_values import common_text, private_element

__all__ = [
    "PHILIPS_ACTIVITY",
    "PHILIPS_AGREEMENT",
    "PHILIPS_SUV",
    "SCAN_STARTS",
    "PrivateElement",
    "counts_from_frame_start",
]


class PrivateElement(NamedTuple):
    """An element of a vendor.

    Attributes:
        group: odd group number.
        creator: the Private Creator that owns the block.
        offset: of the element within its block.
        name: for people.
    """

    group: int
    creator: str
    offset: int
    name: str

    @property
    def tag(self) -> str:
        """The tag as it is where the block is the group's first, e.g. ``"(7053,1000)"``."""
        return f"({self.group:04x},10{self.offset:02x})"

    def read(self, dataset: pydicom.Dataset) -> tuple[str, str | None] | None:
        """Returns text and Private Creator, as ``private_element`` of the header values does."""
        return private_element(dataset, self.group, self.creator, offset=self.offset)


SCAN_STARTS: Final = (
    PrivateElement(0x0009, "GEMS_PETD_01", 0x0D, "GE scan start"),
    PrivateElement(0x0071, "SIEMENS MED PT", 0x22, "Siemens decay correction time"),
)
"""Moments to which a series is decay-corrected (DT)."""

_PHILIPS: Final = (0x7053, "Philips PET Private Group")
PHILIPS_SUV: Final = PrivateElement(*_PHILIPS, 0x00, "Philips' SUV factor")
"""SUVbw (g/mL) per stored count, for decay-corrected counts."""
PHILIPS_ACTIVITY: Final = PrivateElement(*_PHILIPS, 0x09, "Philips' activity factor")
"""Bq/mL per stored count."""
PHILIPS_AGREEMENT: Final = 0.02
"""Relative gap allowed between the two ways to SUVbw; the factors have three to six digits."""


def counts_from_frame_start(datasets: Sequence[pydicom.Dataset]) -> bool:
    """Returns whether the vendor's Frame Reference Time (0054,1300) is that of the frame's start.

    GE's is; the others' is that of the mean activity of the frame.
    """
    return re.match(r"GE\b", common_text(datasets, "Manufacturer").upper()) is not None
