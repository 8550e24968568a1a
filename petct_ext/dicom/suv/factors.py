"""The factors from stored PET values to SUVbw, read from headers or refused.

Sources: DICOM PS3.3 C.8.9.1 for Units (0054,1001), Decay Correction (0054,1102), SUV Type
(0054,1006) and Corrected Image (0028,0051); Philips' DICOM conformance statements for the private
SUV factor (7053,1000) and activity factor (7053,1009); the OncoRay/IBSI manual of SUV.

Not converted, although a formula exists: SUV by body surface (CM2ML), since several formulas are in
use (Du Bois, Mosteller and others, 1 to 5 % apart; a public reference object of this kind deviates
by 1.5 % from Du Bois) and the header names none; SUV Type LBM, since writers mean James' formula
with 120 or with 128, or another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom

from petct_ext.arrays import Floats
from petct_ext.dicom.files.header_values import common_text, numbers
from petct_ext.dicom.files.identity import header_identity
from petct_ext.dicom.suv.arithmetic import frame_decay_correction, suv_bw_scale
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.body_size import NORMALIZING_MASSES, body_weight_kg, normalizing_mass_kg
from petct_ext.dicom.suv.frame_decay import check_decay_factor, frame_starts
from petct_ext.dicom.suv.radiopharmaceutical import (
    Nuclide,
    find_nuclide,
    half_life_s,
    injected_dose_bq,
    injections,
    note_tracer,
)
from petct_ext.dicom.suv.scan_start import scan_start
from petct_ext.dicom.suv.scan_times import CONTRADICTION, with_assumed_day
from petct_ext.dicom.suv.uptake import imaging_start, injection_moment
from petct_ext.dicom.suv.vendors import (
    PHILIPS_ACTIVITY,
    PHILIPS_AGREEMENT,
    PHILIPS_SUV,
    PrivateElement,
)
from petct_ext.errors import InputDataError

__all__ = ["SuvFactors", "suv_bw_factors"]


_UNIT = "g/mL per stored unit"
_LONGEST_BEFORE_INJECTION_S = 600.0


@dataclass(frozen=True, slots=True)
class SuvFactors:
    """How the rescaled values of a PET series become SUVbw.

    Attributes:
        factors: what to multiply each slice with (Z,), in the order of the headers; SUVbw is in
            g/mL. Equal for all slices, except without decay correction or where a vendor scales
            slices on their own.
        audit: every element used, ``{"tag", "keyword", "value"}``, and every step of the
            arithmetic, ``{"step", "value", "unit"}``; JSON-ready. Times are times of day and days
            from the scan; there is no date and no identity.
        warnings: what was assumed, one sentence each.
    """

    factors: Floats
    audit: list[dict[str, Any]]
    warnings: list[str]


def suv_bw_factors(datasets: Sequence[pydicom.Dataset]) -> SuvFactors:
    """Returns the factors that turn the rescaled values of a PET series into SUVbw (g/mL).

    Units GML: 1 if the SUV Type is BW or absent; body weight over the mass of types LBMJAMES128,
    LBMJANMA and IBW. BQML: 1000 * weight / dose at the time to which the values are corrected.
    CNTS: Philips' SUV factor, or else its activity factor and then as BQML.

    Args:
        datasets: headers of all slices of one series, or of all frames of a multi-frame image with
            the same keywords.

    Returns:
        Factors, audit and warnings.

    Raises:
        InputDataError: for any other unit or SUV type, an image without attenuation correction,
            contradictory decay correction, missing or implausible weight, dose, half-life or times;
            one line that names the tag, its value and the remedy.
    """
    if not datasets:
        raise InputDataError("a PET series without slices has no SUV.")
    audit = SuvAudit()
    datasets = with_assumed_day(datasets, audit)
    _require_attenuation_correction(datasets, audit)
    if any(dataset.get("RadiopharmaceuticalInformationSequence") for dataset in datasets):
        note_tracer(injections(datasets), audit, identity=header_identity(datasets[0]))
    units = common_text(datasets, "Units")
    convert = _CONVERSIONS.get(units)
    if convert is None:
        raise InputDataError(
            f"{element_name('Units')} is {units or 'missing'!r}; SUV needs BQML, GML or Philips' "
            "CNTS. Use another series of the exam, or supply a known suv_bw_factor "
            "(--suv-overrides)."
        )
    audit.element("Units", units)
    factors = convert(datasets, audit)
    audit.step("smallest SUVbw factor", float(factors.min()), _UNIT)
    audit.step("largest SUVbw factor", float(factors.max()), _UNIT)
    return SuvFactors(factors, audit.lines, audit.warnings)


def _require_attenuation_correction(datasets: Sequence[pydicom.Dataset], audit: SuvAudit) -> None:
    corrected = common_text(datasets, "CorrectedImage").upper()
    flag = common_text(datasets, "AttenuationCorrected").upper()
    if (corrected and "ATTN" not in corrected) or flag == "NO":
        raise InputDataError(
            f"{element_name('CorrectedImage')} is {corrected or 'missing'}: no attenuation "
            "correction (ATTN), no SUV. Use the corrected series of the exam."
        )
    audit.element("CorrectedImage", corrected)
    if not (corrected or flag):
        audit.warn(
            f"{element_name('CorrectedImage')} is missing: attenuation correction is not confirmed."
        )


def _from_gml(datasets: Sequence[pydicom.Dataset], audit: SuvAudit) -> Floats:
    kind = common_text(datasets, "SUVType")
    audit.element("SUVType", kind)
    factor = 1.0
    if kind in NORMALIZING_MASSES:
        mass_kg = normalizing_mass_kg(datasets, kind, audit)
        factor = body_weight_kg(datasets, SuvAudit()) / mass_kg
        audit.step("body weight / mass", factor)
    elif kind not in ("", "BW"):
        raise InputDataError(
            f"{element_name('SUVType')} is {kind!r}, for which the header names no exact formula; "
            f"SUVbw needs BW, {', '.join(NORMALIZING_MASSES)}. Use the series in Bq/mL."
        )
    return np.full(len(datasets), factor)


def _from_bqml(datasets: Sequence[pydicom.Dataset], audit: SuvAudit) -> Floats:
    weight_kg = body_weight_kg(datasets, audit)
    items = injections(datasets)
    nuclide = find_nuclide(items, audit)
    dose_bq = injected_dose_bq(items, nuclide, audit)
    half_life = half_life_s(items, nuclide, audit)
    correction = _decay_correction(datasets, audit)
    if correction == "NONE":
        seconds, in_frame = _uncorrected(datasets, nuclide, half_life=half_life, audit=audit)
    else:
        uptake_s = _uptake_s(
            datasets, correction, nuclide=nuclide, half_life=half_life, audit=audit
        )
        seconds, in_frame = np.full(len(datasets), uptake_s), np.ones(len(datasets))
    known: dict[float, float] = {}
    for uptake in set(seconds.tolist()):
        # A scan may be started, and its values corrected to, seconds before the injection.
        early = 2.0 ** (-min(uptake, 0.0) / half_life)
        known[uptake] = suv_bw_scale(
            patient_weight_kg=weight_kg,
            injected_dose_bq=dose_bq * (1.0 if correction == "ADMIN" else early),
            half_life_s=half_life,
            uptake_time_s=max(uptake, 0.0),
            decay_correction="ADMIN" if correction == "ADMIN" else "START",
        )
    scale = np.array([known[uptake] for uptake in seconds.tolist()])
    audit.step("dose at the reference time", 1000.0 * weight_kg / float(scale[0]), "Bq")
    audit.step("1000 * weight / dose", float(scale[0]), "g/Bq")
    return scale * in_frame


def _decay_correction(datasets: Sequence[pydicom.Dataset], audit: SuvAudit) -> str:
    """Returns START, ADMIN or NONE, if Corrected Image (0028,0051) says the same."""
    stated = common_text(datasets, "DecayCorrection").upper()
    flag = common_text(datasets, "DecayCorrected").upper()  # of multi-frame images
    if not stated and flag:
        stated = "START" if flag == "YES" else "NONE"
    name = element_name("DecayCorrection")
    if stated not in ("START", "ADMIN", "NONE"):
        raise InputDataError(
            f"{name} is {stated or 'missing'!r}; SUV needs START, ADMIN or NONE; correct it."
        )
    audit.element("DecayCorrection", stated)
    corrected = common_text(datasets, "CorrectedImage").upper()
    if corrected and ("DECY" in corrected) != (stated != "NONE"):
        found = "with" if "DECY" in corrected else "without"
        raise InputDataError(
            f"{name} is {stated!r}, but {element_name('CorrectedImage')} is {corrected}, {found} "
            "DECY: they contradict each other. Use the series as the scanner sent it."
        )
    return stated


def _uptake_s(
    datasets: Sequence[pydicom.Dataset],
    correction: str,
    *,
    nuclide: Nuclide,
    half_life: float,
    audit: SuvAudit,
) -> float:
    start = scan_start(datasets, half_life_s=half_life, audit=audit)
    imaged = imaging_start(datasets, start)
    injected = injection_moment(datasets, start=imaged, nuclide=nuclide, audit=audit)
    check_decay_factor(
        datasets,
        reference=injected if correction == "ADMIN" else start,
        half_life_s=half_life,
        audit=audit,
    )
    audit.step("uptake time", (imaged - injected).total_seconds(), "s")
    uptake_s = (start - injected).total_seconds()
    if imaged > start:
        audit.step("time from injection to the decay reference", uptake_s, "s")
    if uptake_s < -_LONGEST_BEFORE_INJECTION_S:
        raise InputDataError(
            f"the decay reference at {start:%H:%M:%S} is {-uptake_s / 60:.0f} min before the "
            f"injection at {injected:%H:%M:%S}; {CONTRADICTION}"
        )
    decay = 1.0 if correction == "ADMIN" else 2.0 ** (-uptake_s / half_life)
    audit.step("decay of the dose to the reference time", decay)
    return uptake_s


def _uncorrected(
    datasets: Sequence[pydicom.Dataset], nuclide: Nuclide, *, half_life: float, audit: SuvAudit
) -> tuple[Floats, Floats]:
    """Returns, for each slice, the time from injection to its frame, and the decay within it."""
    for factor in set(numbers(datasets, "DecayFactor").tolist()):
        if abs(factor - 1) > 1e-6:  # not for NaN, where it is missing
            raise InputDataError(
                f"{element_name('DecayFactor')} is {factor:g}, but "
                f"{element_name('DecayCorrection')} is 'NONE': they "
                "contradict each other. Use the series as the scanner sent it."
            )
    starts = frame_starts(datasets, audit)
    moments = sorted({moment for moment, _ in starts})
    injected = injection_moment(datasets, start=moments[0], nuclide=nuclide, audit=audit)
    if (moments[-1] - injected).total_seconds() > nuclide.uptake_s[1]:
        raise InputDataError(
            f"{element_name('AcquisitionTime')} of the last slice, {moments[-1]:%H:%M:%S}, is "
            f"{(moments[-1] - injected).total_seconds() / 60:.0f} min after injection, more than "
            f"{nuclide.uptake_s[1] / 60:.0f} min for {nuclide.name}. Correct the header."
        )
    seconds = np.array([(moment - injected).total_seconds() for moment, _ in starts])
    in_frame = np.array(
        [frame_decay_correction(duration_s=d, half_life_s=half_life) for _, d in starts]
    )
    audit.step("time from injection to the first frame", float(seconds.min()), "s")
    audit.step("time from injection to the last frame", float(seconds.max()), "s")
    audit.step("correction of the mean over the first frame", float(in_frame[0]))
    return seconds, in_frame


def _from_counts(datasets: Sequence[pydicom.Dataset], audit: SuvAudit) -> Floats:
    suv = _philips(datasets, PHILIPS_SUV, audit)
    activity = _philips(datasets, PHILIPS_ACTIVITY, audit)
    if suv is None and activity is None:
        raise InputDataError(
            f"{element_name('Units')} is 'CNTS' without Philips' factors (7053,1000) or "
            "(7053,1009); counts alone have no SUV. De-identification often removes them: export "
            "the series again with private elements, or supply suv_bw_factor (--suv-overrides)."
        )
    correction = _decay_correction(datasets, audit)
    if suv is not None and correction != "NONE":
        if activity is not None:
            _cross_check(datasets, suv=suv, activity=activity, audit=audit)
        return suv
    if activity is None:
        raise InputDataError(
            f"{element_name('DecayCorrection')} is 'NONE' and Philips' activity factor (7053,1009) "
            "is missing; the SUV factor (7053,1000) holds for decay-corrected counts only. Export "
            "the series again with private elements, or leave the exam out."
        )
    return activity * _from_bqml(datasets, audit)


def _cross_check(
    datasets: Sequence[pydicom.Dataset],
    *,
    suv: Floats,
    activity: Floats,
    audit: SuvAudit,
) -> None:
    try:
        other = activity * _from_bqml(datasets, SuvAudit())
    except InputDataError as error:
        audit.warn(f"Philips' SUV factor (7053,1000) was not checked by (7053,1009): {error}")
        return
    gap = float(np.abs(other / suv - 1).max())
    audit.step("gap to the way by (7053,1009)", gap)
    if gap > PHILIPS_AGREEMENT:
        raise InputDataError(
            f"Philips' SUV factor (7053,1000) is {suv[0]:g}, but (7053,1009), weight, dose and "
            f"times give {other[0]:g}; they do not belong together. Use the series as the scanner "
            "sent it."
        )


def _philips(
    datasets: Sequence[pydicom.Dataset], element: PrivateElement, audit: SuvAudit
) -> Floats | None:
    """Returns a factor of each slice, None if the first slice has none above zero."""
    tag, name = element.tag, element.name
    values = []
    for dataset in datasets:
        text, owner = element.read(dataset) or ("", element.creator)
        if owner is None:
            audit.warn(f"{name} {tag} has no Private Creator; it is taken for Philips'.")
        try:
            value = float(text) if text else 0.0
        except ValueError:
            raise InputDataError(
                f"{name} {tag} is {text!r}, not a number; correct the header."
            ) from None
        values.append(value)
    factors = np.array(values)
    if not np.any(factors > 0):
        return None
    if not (np.isfinite(factors).all() and np.all(factors > 0)):
        raise InputDataError(f"{name} {tag} is missing or zero in some slices; leave the exam out.")
    audit.private(tag, name, float(factors[0]))
    return factors


_CONVERSIONS: dict[str, Callable[[Sequence[pydicom.Dataset], SuvAudit], Floats]] = {
    "GML": _from_gml,
    "BQML": _from_bqml,
    "CNTS": _from_counts,
}
