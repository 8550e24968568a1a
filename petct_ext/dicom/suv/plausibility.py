"""Weight, height and dose of a header: possible, but are they plausible together?

A wrong weight or dose makes every SUV of the exam wrong by the same factor, and looks like nothing.

Limits. Body mass index: adults live between 12 and some 70 kg/m2, children down to 11 (WHO growth
reference), so 10 to 80 is beyond what is believed without a look. Dose of F-18 FDG per kg: the EANM
guideline 2.0 (Boellaard et al., EJNMMI 42 (2015) 328) asks for 14 MBq min/bed/kg at most, 7 MBq/kg
for the usual 2 min a bed; 370 to 740 MBq of the SNMMI guideline are 4 to 15 MBq/kg at 50 to 100 kg;
protocols of total-body scanners go down to a tenth of the usual dose, 0.37 MBq/kg (Tan et al.,
EJNMMI 49 (2022) 4630). Hence 0.3 to 15, and below 1 a word.
"""

from __future__ import annotations

from collections.abc import Sequence

import pydicom

from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.files.header_values import common_number
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.radiopharmaceutical import find_nuclide, injected_dose_bq, injections
from petct_ext.errors import InputDataError

__all__ = ["header_checks", "patient_checks"]

_BODY_MASS_INDEX = (10.0, 80.0)  # kg/m2
_SUSPECTED_POUNDS = 45.0  # kg/m2; above it, a weight in pounds is likelier than obesity of class IV
_USUAL_BODY_MASS_INDEX = (15.0, 38.0)
_POUND_KG = 0.45359237
_HEIGHT_M = (0.4, 2.5)
_HEIGHT_CM = (40.0, 250.0)
_MOST_INCHES = 90.0
_DOSE_PER_KG = (0.3, 15.0)  # MBq/kg
_LOW_DOSE_PER_KG = 1.0
_TOTAL_BODY = "usual on total-body scanners alone"


def header_checks(datasets: Sequence[pydicom.Dataset], *, decide_suv: bool) -> list[Check]:
    """Checks weight, height and dose of a PET series against each other.

    Args:
        datasets: headers of all slices, with overrides applied.
        decide_suv: whether SUV was computed from weight and dose; if not, a finding is never hard.

    Returns:
        The checks ``height``, ``body_mass_index``, ``weight_unit`` and ``dose_per_kg``.
    """
    return patient_checks(
        weight_kg=_number(datasets, "PatientWeight"),
        height_m=_number(datasets, "PatientSize"),
        dose_bq=_dose_of_f18(datasets),
        decide_suv=decide_suv,
    )


def patient_checks(
    *,
    weight_kg: float | None,
    height_m: float | None,
    dose_bq: float | None,
    decide_suv: bool,
) -> list[Check]:
    """Checks weight, height and dose against each other, from wherever they come.

    Args:
        weight_kg: body weight in kg; None if unknown.
        height_m: body height in m; None if unknown.
        dose_bq: injected activity of F-18 in Bq; None if unknown or of another nuclide.
        decide_suv: as in :func:`header_checks`.
    """
    height, check = _height(height_m)
    index = weight_kg / height**2 if weight_kg and height else None
    return [
        check,
        _body_mass_index(index, weight_kg, height, is_hard=decide_suv),
        _weight_unit(index, weight_kg),
        _dose_per_kg(dose_bq, weight_kg, is_hard=decide_suv),
    ]


def _number(datasets: Sequence[pydicom.Dataset], keyword: str) -> float | None:
    try:
        value = common_number(datasets, keyword)
    except InputDataError:
        return None
    return value if value > 0 else None


def _dose_of_f18(datasets: Sequence[pydicom.Dataset]) -> float | None:
    try:
        items = injections(datasets)
        nuclide = find_nuclide(items, SuvAudit())
        dose = injected_dose_bq(items, nuclide, SuvAudit())
    except InputDataError:
        return None
    return dose if nuclide.name == "F-18" else None


def _height(height: float | None) -> tuple[float | None, Check]:
    """Returns the height in m as far as it can be understood, and what is odd about it."""
    name = element_name("PatientSize")
    if height is None:
        text = f"{name} is missing or 0: weight was not checked against it"
        return None, Check("height", CheckState.NOT_MEASURED, text)
    if _HEIGHT_M[0] <= height <= _HEIGHT_M[1]:
        text = f"{name} is {height:g} m"
        return height, Check("height", CheckState.FINE, text, value=height, unit="m")
    understood, unit = None, "in no unit that is known"
    if _MOST_INCHES < height <= _HEIGHT_CM[1]:
        understood, unit = height / 100, "taken for cm"
    elif _HEIGHT_CM[0] <= height <= _MOST_INCHES:
        unit = "cm of a child or inches of an adult"
    text = f"{name} is {height:g}, outside {_HEIGHT_M[0]:g} to {_HEIGHT_M[1]:g} m: {unit}"
    return understood, Check("height", CheckState.NOT_FINE, text, value=height, unit="m")


def _body_mass_index(
    index: float | None, weight_kg: float | None, height_m: float | None, *, is_hard: bool
) -> Check:
    name = "body_mass_index"
    if index is None or weight_kg is None or height_m is None:
        what = element_name("PatientSize" if weight_kg else "PatientWeight")
        text = f"body mass index not checked: {what} is missing or implausible"
        return Check(name, CheckState.NOT_MEASURED, text)
    low, high = _BODY_MASS_INDEX
    found = (
        f"{element_name('PatientWeight')} {weight_kg:g} kg and {element_name('PatientSize')} "
        f"{height_m:g} m give a body mass index of {index:.1f} kg/m2"
    )
    if low <= index <= high:
        return Check(name, CheckState.FINE, found, value=index, unit="kg/m2")
    text = f"{found}, outside {low:g} to {high:g}{_pounds(index, weight_kg)}"
    return Check(name, CheckState.NOT_FINE, text, is_hard=is_hard, value=index, unit="kg/m2")


def _pounds(index: float, weight_kg: float) -> str:
    """Returns words for a weight that would be a usual one in pounds."""
    low, high = _USUAL_BODY_MASS_INDEX
    if index <= _SUSPECTED_POUNDS or not low <= index * _POUND_KG <= high:
        return ""
    kg = weight_kg * _POUND_KG
    return f": it may be in pounds, {kg:.0f} kg and {index * _POUND_KG:.0f} kg/m2 then"


def _weight_unit(index: float | None, weight_kg: float | None) -> Check:
    name, element = "weight_unit", element_name("PatientWeight")
    if index is None or weight_kg is None:
        text = "unit of the weight not checked: weight or height is missing"
        return Check(name, CheckState.NOT_MEASURED, text)
    if pounds := _pounds(index, weight_kg):
        text = f"{element} {weight_kg:g} kg gives {index:.0f} kg/m2{pounds}"
        return Check(name, CheckState.NOT_FINE, text, value=weight_kg, unit="kg")
    return Check(name, CheckState.FINE, f"{element} {weight_kg:g} kg fits kg", value=weight_kg)


def _dose_per_kg(dose_bq: float | None, weight_kg: float | None, *, is_hard: bool) -> Check:
    name, unit = "dose_per_kg", "MBq/kg"
    if not dose_bq or not weight_kg:
        text = "dose per kg not checked: weight or the dose of F-18 is missing"
        return Check(name, CheckState.NOT_MEASURED, text)
    dose = dose_bq / 1e6 / weight_kg
    low, high = _DOSE_PER_KG
    found = (
        f"{element_name('RadionuclideTotalDose')} {dose_bq / 1e6:.4g} MBq for {weight_kg:g} kg is "
        f"{dose:.3g} MBq/kg"
    )
    if not low <= dose <= high:
        text = f"{found}, outside {low:g} to {high:g}: dose or weight is wrong"
        return Check(name, CheckState.NOT_FINE, text, is_hard=is_hard, value=dose, unit=unit)
    if dose < _LOW_DOSE_PER_KG:
        text = f"{found}, below {_LOW_DOSE_PER_KG:g}: {_TOTAL_BODY}"
        return Check(name, CheckState.NOT_FINE, text, value=dose, unit=unit)
    return Check(name, CheckState.FINE, found, value=dose, unit=unit)
