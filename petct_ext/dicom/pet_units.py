"""The factor from stored PET values to SUVbw, read from a header or refused.

Sources: DICOM PS3.3 C.8.9.1 for Units (0054,1001), Decay Correction (0054,1102) and SUV Type
(0054,1006); Philips' DICOM conformance statements for the private SUV factor (7053,1000) and the
activity factor (7053,1009).
"""

from __future__ import annotations

import pydicom

from petct_ext.dicom.suv import suv_bw_scale
from petct_ext.dicom.uptake import uptake_time_s
from petct_ext.errors import InputDataError

__all__ = ["suv_bw_factor"]

_PHILIPS_SUV = (0x7053, 0x1000)
_PHILIPS_ACTIVITY = (0x7053, 0x1009)
_HEAVIEST_KG = 400.0


def suv_bw_factor(datasets: list[pydicom.Dataset]) -> float:
    """Returns the factor that turns the rescaled values of a PET series into SUVbw (g/mL).

    Units GML: 1 if the SUV Type is BW or absent. BQML: 1000 * weight / decayed dose. CNTS: Philips'
    SUV factor, or else its activity factor and then as BQML.

    Args:
        datasets: headers of all slices of the series.

    Returns:
        The factor, positive and finite.

    Raises:
        InputDataError: for any other unit or SUV type, an image without attenuation or decay
            correction, and missing or implausible weight, dose, half-life or times; names the tag
            and its value.
    """
    first = datasets[0]
    corrected = first.get("CorrectedImage")
    if corrected is not None and "ATTN" not in str(corrected).upper():
        raise InputDataError(
            f"Corrected Image (0028,0051) is {corrected!s}: no attenuation correction, no SUV."
        )
    units = str(first.get("Units") or "")
    if units == "GML":
        kind = str(first.get("SUVType") or "BW")
        if kind != "BW":
            raise InputDataError(f"SUV Type (0054,1006) is {kind!r}; SUVbw is needed.")
        return 1.0
    if units == "BQML":
        return _activity_factor(datasets)
    if units == "CNTS":
        if suv := _private(first, _PHILIPS_SUV):
            return suv
        if activity := _private(first, _PHILIPS_ACTIVITY):
            return activity * _activity_factor(datasets)
        raise InputDataError(
            "Units (0054,1001) is 'CNTS' without Philips' factors (7053,1000) or (7053,1009)."
        )
    raise InputDataError(
        f"Units (0054,1001) is {units or 'missing'!r}; SUV needs BQML, GML or Philips' CNTS."
    )


def _activity_factor(datasets: list[pydicom.Dataset]) -> float:
    first = datasets[0]
    correction = str(first.get("DecayCorrection") or "missing")
    items = first.get("RadiopharmaceuticalInformationSequence") or [pydicom.Dataset()]
    return suv_bw_scale(
        patient_weight_kg=_weight_kg(first),
        injected_dose_bq=_number(items[0], "RadionuclideTotalDose", "(0018,1074)"),
        half_life_s=_number(items[0], "RadionuclideHalfLife", "(0018,1075)"),
        uptake_time_s=uptake_time_s(datasets),
        decay_correction=correction,
    )


def _weight_kg(dataset: pydicom.Dataset) -> float:
    weight = _number(dataset, "PatientWeight", "(0010,1030)")
    if not 0 < weight <= _HEAVIEST_KG:
        raise InputDataError(
            f"Patient's Weight (0010,1030) is {weight:g}; it should be in kg, at most "
            f"{_HEAVIEST_KG:g}. Correct the header."
        )
    return weight


def _number(dataset: pydicom.Dataset, keyword: str, tag: str) -> float:
    value = dataset.get(keyword)
    try:
        return float(str(value))
    except ValueError:
        found = "missing or empty" if value in (None, "") else repr(str(value))
        raise InputDataError(f"{keyword} {tag} is {found}; SUV cannot be computed.") from None


def _private(dataset: pydicom.Dataset, tag: tuple[int, int]) -> float | None:
    if tag not in dataset:
        return None
    raw = dataset[tag].value
    try:
        value = float(raw.decode() if isinstance(raw, bytes) else raw)
    except (TypeError, ValueError):
        return None
    return value if value > 0 else None
