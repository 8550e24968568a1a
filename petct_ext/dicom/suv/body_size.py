"""Masses other than body weight to which scanners normalize SUV, so that SUVbw can be had back.

Sources: James, "Research on Obesity" (1976), with 128 for men; Janmahasatian et al., Clin
Pharmacokinet 44 (2005) 1051; Sugawara et al., Radiology 213 (1999) 521 for ideal body weight; as
named by SUV Type (0054,1006) of DICOM PS3.3 C.8.9.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pydicom

from petct_ext.dicom.files.header_values import common_number, common_text, positive
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.errors import InputDataError

__all__ = ["NORMALIZING_MASSES", "body_weight_kg", "normalizing_mass_kg"]

_WEIGHT_KG = (1.0, 400.0)
_HEIGHT_M = (0.4, 2.5)


def _james_128(weight_kg: float, height_m: float, *, is_male: bool) -> float:
    factor, penalty = (1.10, 128.0) if is_male else (1.07, 148.0)
    return factor * weight_kg - penalty * (weight_kg / (100.0 * height_m)) ** 2


def _janmahasatian(weight_kg: float, height_m: float, *, is_male: bool) -> float:
    body_mass_index = weight_kg / height_m**2
    constant, slope = (6680.0, 216.0) if is_male else (8780.0, 244.0)
    return 9270.0 * weight_kg / (constant + slope * body_mass_index)


def _ideal(weight_kg: float, height_m: float, *, is_male: bool) -> float:
    del weight_kg
    base, slope = (48.0, 1.06) if is_male else (45.5, 0.91)
    return base + slope * (100.0 * height_m - 152.0)


NORMALIZING_MASSES: dict[str, Callable[..., float]] = {
    "LBMJAMES128": _james_128,
    "LBMJANMA": _janmahasatian,
    "IBW": _ideal,
}
"""SUV types (0054,1006) in g/mL whose mass follows from weight, height and sex alone."""


def body_weight_kg(datasets: Sequence[pydicom.Dataset], audit: SuvAudit) -> float:
    """Returns Patient's Weight (0010,1030) in kg.

    Raises:
        InputDataError: if it is missing, not positive, or no weight of a person in kg.
    """
    weight = positive(common_number(datasets, "PatientWeight"), "PatientWeight", unit="kg")
    if not _WEIGHT_KG[0] <= weight <= _WEIGHT_KG[1]:
        unit = "g" if weight > 1000 else "another unit"
        raise InputDataError(
            f"{element_name('PatientWeight')} is {weight:g}; it should be in kg, "
            f"{_WEIGHT_KG[0]:g} to {_WEIGHT_KG[1]:g}, and may be in {unit}. Correct the header."
        )
    audit.element("PatientWeight", weight)
    return weight


def normalizing_mass_kg(
    datasets: Sequence[pydicom.Dataset], suv_type: str, audit: SuvAudit
) -> float:
    """Returns the mass in kg to which SUV of a type is normalized.

    Args:
        datasets: headers of all slices.
        suv_type: a key of :data:`NORMALIZING_MASSES`.
        audit: is told what was used.

    Raises:
        InputDataError: if weight or height is missing or implausible, or sex is neither M nor F
            (the formulas know no other).
    """
    weight = body_weight_kg(datasets, audit)
    height = positive(common_number(datasets, "PatientSize"), "PatientSize", unit="m")
    if not _HEIGHT_M[0] <= height <= _HEIGHT_M[1]:
        raise InputDataError(
            f"{element_name('PatientSize')} is {height:g}; it should be in m, {_HEIGHT_M[0]:g} to "
            f"{_HEIGHT_M[1]:g}. Correct the header."
        )
    sex = common_text(datasets, "PatientSex")
    if sex not in ("M", "F"):
        raise InputDataError(
            f"{element_name('PatientSex')} is {sex or 'missing'!r}; SUV of type {suv_type} can be "
            "turned into SUVbw for M and F only. Use the series in Bq/mL."
        )
    audit.element("PatientSize", height)
    audit.element("PatientSex", sex)
    mass = NORMALIZING_MASSES[suv_type](weight, height, is_male=sex == "M")
    if not mass > 0:
        raise InputDataError(
            f"{element_name('PatientSize')} {height:g} m and weight {weight:g} kg give a mass of "
            f"{mass:g} kg by {suv_type}; correct the header."
        )
    audit.step(f"mass of {suv_type}", mass, "kg")
    return mass
