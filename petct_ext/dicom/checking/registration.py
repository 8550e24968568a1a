"""Whether a CT of another frame of reference may be laid on its PET.

Two series of one frame of reference (0020,0052) lie on each other by the scanner's word. Without
that word coordinates mean nothing to each other, even if they overlap: it is measured whether the
images agree, or a person says so, or the exam is held back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.alignment import has_itk, measure_alignment
from petct_ext.dicom.checking.check import Check, CheckState

__all__ = ["Registration", "registration_check"]

Registration: TypeAlias = Literal["stated", "assumed", "unknown"]

_NAME = "frame_of_reference"
_ANOTHER = "the CT has another frame of reference (0020,0052) than the PET"
_LARGEST_SHIFT_MM = 10.0  # of any axis: a voxel of the search. Here nobody says that they match
_REMEDY = (
    "if they are registered, say so by scripts/index_exams.py --assume-registered or accept it"
)


def registration_check(
    pet: FloatArray, ct: FloatArray, spacing_mm: Sequence[float], registration: Registration
) -> Check:
    """Checks that PET and CT lie on each other, as far as nobody says so.

    Args:
        pet: SUV or any other unit, at least 0, (X, Y, Z), RAS+.
        ct: HU, same shape and grid.
        spacing_mm: along X, Y and Z.
        registration: what is said about them.

    Returns:
        Fine if it is stated, or measured by mutual information; soft if assumed; else hard.
    """
    if registration == "stated":
        return Check(_NAME, CheckState.FINE, "PET and CT share a frame of reference or manifest")
    if registration == "assumed":
        text = f"{_ANOTHER}; that they lie on each other is assumed (--assume-registered)"
        return Check(_NAME, CheckState.NOT_FINE, text)
    if not has_itk():
        text = (
            f"{_ANOTHER}, and whether they lie on each other cannot be measured without ITK (pip "
            f"install 'petct_ext[itk]'); {_REMEDY}"
        )
        return Check(_NAME, CheckState.NOT_FINE, text, is_hard=True)
    found = measure_alignment(pet, ct, spacing_mm)
    off_mm = max(map(abs, found.shift_mm))
    if found.state is CheckState.FINE and off_mm <= _LARGEST_SHIFT_MM:
        return Check(_NAME, CheckState.FINE, f"{_ANOTHER}, but they agree: {found.text}")
    is_close = found.state is CheckState.FINE
    state = f"{off_mm:.0f} mm off" if is_close else str(found.state)
    text = f"{_ANOTHER}, and their alignment is {state}: {found.text}; {_REMEDY}"
    return Check(_NAME, CheckState.NOT_FINE, text, is_hard=True)
