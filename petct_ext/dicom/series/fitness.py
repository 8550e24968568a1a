"""Why a series cannot be the PET or the CT of an exam, judged by its headers alone."""

from __future__ import annotations

import re
from collections.abc import Callable

from petct_ext.dicom.series.groups import Series, image_normal

__all__ = [
    "has_contrast",
    "has_sharp_kernel",
    "header_contradictions",
    "is_dynamic",
    "limited_body_part",
    "unfit_reason",
]

_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.128": "PT",  # PET Image Storage
    "1.2.840.10008.5.1.4.1.1.130": "PT",  # Enhanced PET
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",  # Legacy Converted Enhanced PET
    "1.2.840.10008.5.1.4.1.1.2": "CT",  # CT Image Storage
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",  # Legacy Converted Enhanced CT
}
# Beginnings of SOP Class UIDs of what else lies in a PET/CT study; the longest one counts.
_OTHER_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.7": "secondary capture",
    "1.2.840.10008.5.1.4.1.1.88": "structured report",
    "1.2.840.10008.5.1.4.1.1.88.67": "dose report",
    "1.2.840.10008.5.1.4.1.1.88.68": "dose report of the tracer",
    "1.2.840.10008.5.1.4.1.1.88.76": "dose report",
    "1.2.840.10008.5.1.4.1.1.104": "encapsulated document",
    "1.2.840.10008.5.1.4.1.1.11": "presentation state",
    "1.2.840.10008.5.1.4.1.1.66": "raw data, registration or segmentation",
    "1.2.840.10008.5.1.4.1.1.481": "radiotherapy object",
}
_LEAST_AXIAL = 0.8  # cosine between the slices' normal and the body's axis: 37 degrees
_MOST_REPEATS = 1.5  # images per position; beds may overlap by a few slices
_LONGEST_OF_HEAD_MM = 400.0

_HEAD = {"HEAD", "BRAIN", "SKULL", "NECK", "HEADNECK", "HEART", "CARDIAC", "BREAST"}
_LIMBS = {"LEG", "LEGS", "KNEE", "FOOT", "CALF", "ANKLE", "LOWEREXTREMITY", "ARM", "HAND"}
_SHARP = re.compile(r"LUNG|BONE|EDGE|SHARP|^[BDHU][RVFL]?[67]\d|^FC[58]\d|^Y[ABC]|^[DE]$", re.I)


def unfit_reason(series: Series, min_slices: int) -> str:
    """Says why a series can be neither the PET nor the CT.

    Args:
        series: the series.
        min_slices: fewer slices are too few.

    Returns:
        ``"left out: ..."`` in a few words, without values that identify; ``""`` if it is fit.
    """
    for check in _CHECKS:
        if reason := check(series):
            return f"left out: {reason}"
    if series.num_slices < min_slices:
        return f"left out: {series.num_slices} slice(s), fewer than {min_slices}"
    return ""


def limited_body_part(series: Series) -> str:
    """Returns the only part of the body that a series shows, ``""`` if there is more.

    Judged by Body Part Examined (0018,0015) and the description. Parts of the head and trunk count
    only below 400 mm, since whole-body scans are often named by their first region.
    """
    part = _body_part(series)
    is_whole = series.first.says("whole")
    if part in _LIMBS or (series.first.says("limbs") and not is_whole):
        return part or "limbs"
    if series.length_mm >= _LONGEST_OF_HEAD_MM:
        return ""
    if part in _HEAD or (series.first.says("head") and not is_whole):
        return part or "head"
    return ""


def is_dynamic(series: Series) -> bool:
    """Returns whether Series Type (0054,1000) calls it dynamic or gated."""
    return series.first.text("SeriesType").upper().startswith(("DYNAMIC", "GATED"))


def has_contrast(series: Series) -> bool:
    """Returns whether Contrast/Bolus Agent (0018,0010) or the description names an agent."""
    return _names_agent(series) or series.first.says("contrast")


def header_contradictions(series: Series) -> list[str]:
    """Returns what the elements and the description of a PET or CT say against each other."""
    first = series.first
    if first.text("Modality") == "PT":
        is_corrected = "ATTN" in first.text("CorrectedImage").upper()
        stated = f"Corrected Image (0028,0051) is {first.text('CorrectedImage') or 'missing'}"
        if is_corrected and first.says("uncorrected"):
            return [f"contradiction: {stated}, but its description says uncorrected"]
        if not is_corrected and first.says("corrected") and not first.says("uncorrected"):
            return [f"contradiction: {stated}, but its description says corrected"]
    if first.text("Modality") == "CT":
        agent = first.text("ContrastBolusAgent").strip()
        if _names_agent(series) and first.says("plain") and not first.says("contrast"):
            return ["contradiction: (0018,0010) names a contrast agent, its description says none"]
        if agent and not _names_agent(series) and first.says("contrast"):
            return ["contradiction: (0018,0010) says no contrast agent, its description names one"]
    return []


def _names_agent(series: Series) -> bool:
    agent = series.first.text("ContrastBolusAgent").strip().upper()
    return agent not in ("", "NO", "NONE", "N", "WITHOUT")


def has_sharp_kernel(series: Series) -> bool:
    """Returns whether Convolution Kernel (0018,1210) is one for lungs or bone."""
    return bool(_SHARP.search(series.first.text("ConvolutionKernel").split("\\")[0]))


def _body_part(series: Series) -> str:
    """Returns Body Part Examined (0018,0015) in capital letters, ``""`` if missing."""
    return re.sub(r"[^A-Z]", "", series.first.text("BodyPartExamined").upper())


def _foreign(series: Series) -> str:
    modality, uid = series.first.text("Modality"), series.first.text("SOPClassUID")
    if series.first.says("report"):
        return "dose report or protocol page"
    known = [begin for begin in _OTHER_CLASSES if uid == begin or uid.startswith(begin + ".")]
    if known:
        return _OTHER_CLASSES[max(known, key=len)]
    if modality not in ("PT", "CT"):
        return f"modality {modality or 'missing'}"
    if _CLASSES.get(uid) != modality:
        return f"not {modality} Image Storage (0008,0016)"
    return ""


def _color(series: Series) -> str:
    first = series.first
    photometric = first.text("PhotometricInterpretation").upper()
    if (first.number("SamplesPerPixel") or 1) > 1 or photometric[:3] in ("RGB", "YBR", "PAL"):
        return "color image (fused, or a picture of the screen)"
    if "FUS" in first.text("ImageType").upper() or series.first.says("fused"):
        return "fused image"
    return ""


def _localizer(series: Series) -> str:
    is_one = "LOCALIZER" in series.first.text("ImageType").upper() or series.first.says("localizer")
    return "localizer" if is_one else ""


def _projection(series: Series) -> str:
    first = series.first
    kind = first.text("ImageType").upper()
    technique = first.text("VolumeBasedCalculationTechnique").upper() or "NONE"
    if re.search(r"(?<![A-Z])(MIP|MINIP|PROJECTION|MAX_IP|MIN_IP)", kind) or technique != "NONE":
        return "projection or rendering (MIP)"
    if "REPROJECTION" in first.text("SeriesType").upper() or series.first.says("projection"):
        return "projection (MIP)"
    if "SCREEN SAVE" in kind:
        return "picture of the screen"
    return ""


def _fault(series: Series) -> str:
    return series.fault


def _geometry(series: Series) -> str:
    if not series.places_mm:
        return "no slice positions (0020,0032)"
    normal = image_normal(series.first)
    if normal is None:
        return "no or mixed orientation (0020,0037)"
    if abs(normal[2]) < _LEAST_AXIAL:
        return "reformatted, slices are not axial (0020,0037)"
    return ""


def _repeated(series: Series) -> str:
    repeats = series.num_images / len(series.places_mm)
    if repeats < _MOST_REPEATS:
        return ""
    return f"dynamic, gated or repeated: {repeats:.1f} images at each position"


def _uncorrected(series: Series) -> str:
    first = series.first
    if first.text("Modality") != "PT":
        return ""
    corrections = first.text("CorrectedImage").upper()
    answer = first.text("AttenuationCorrected").upper()
    method = first.text("AttenuationCorrectionMethod").upper()
    if answer == "NO" or method.startswith("NONE"):
        return "not attenuation-corrected (0018,9759), (0054,1101)"
    if not ("ATTN" in corrections or answer == "YES" or (not corrections and method)):
        return "not attenuation-corrected (no ATTN in Corrected Image (0028,0051))"
    if series.first.says("uncorrected"):
        return "not attenuation-corrected by its description, though the header says so"
    return ""


def _wrong_part(series: Series) -> str:
    if series.first.text("Modality") != "PT":
        return ""
    part = _body_part(series)
    if part in ("BRAIN", "HEART", "CARDIAC") and series.length_mm < _LONGEST_OF_HEAD_MM:
        return f"wrong body part: {part} (0018,0015), {series.length_mm:.0f} mm"
    return ""


_CHECKS: tuple[Callable[[Series], str], ...] = (
    _foreign,
    _color,
    _localizer,
    _projection,
    _fault,
    _geometry,
    _uncorrected,
    _repeated,
    _wrong_part,
)
