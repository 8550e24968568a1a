"""Enhanced (multi-frame) PET and CT as if every frame were a file of its own.

The functional groups of a frame are merged up to one flat data set with the keywords of the classic
single-frame objects, so that both are indexed, and geometry and SUV computed, by the same code.

Source: DICOM PS3.3, sections A.38 and A.56 (enhanced CT and PET), A.70 and A.72 (legacy converted),
C.7.6.16 (functional groups), C.8.22 (enhanced PET); PS3.16, CID 84 (units).
"""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.valuerep import DT

from petct_ext.dicom.files.header_values import converted
from petct_ext.errors import InputDataError

__all__ = ["flat_frames", "flat_header", "frame_positions", "is_enhanced"]

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
# Legacy converted objects keep what has no place of its own in the two "unassigned" macros; they
# come first, so that the functional groups proper win.
_MACROS = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
    "PETFrameTypeSequence",
    "PETFrameAcquisitionSequence",
    "PETFrameCorrectionFactorsSequence",
    "PETDetectorMotionDetailsSequence",
    "RadiopharmaceuticalUsageSequence",
)
_CORRECTIONS = {
    "AttenuationCorrected": "ATTN",
    "DecayCorrected": "DECY",
    "ScatterCorrected": "SCAT",
    "DeadTimeCorrected": "DTIM",
    "RandomsCorrected": "RAN",
    "DetectorNormalizationCorrection": "NORM",
    "NonUniformRadialSamplingCorrected": "RADL",
    "SensitivityCalibrated": "DCAL",
    "GantryMotionCorrected": "MOTN",
}
# UCUM codes of Measurement Units Code Sequence -> Units (0054,1001) and SUV Type (0054,1006)
_UNITS = {
    "bq/ml": ("BQML", None),
    "{counts}": ("CNTS", None),
    "{counts}/s": ("CPS", None),
    "{propcounts}": ("PROPCNTS", None),
    "g/ml": ("GML", None),
    "g/ml{suvbw}": ("GML", "BW"),
    "{suvbw}g/ml": ("GML", "BW"),
    "g/ml{suvlbm}": ("GML", "LBM"),
    "{suvlbm}g/ml": ("GML", "LBM"),
    "cm2/ml": ("CM2ML", "BSA"),
    "cm2/ml{suvbsa}": ("CM2ML", "BSA"),
    "{suvbsa}cm2/ml": ("CM2ML", "BSA"),
}
# Elements of a frame that single-frame objects have under another keyword.
_OTHER_NAMES = {"ImageType": "FrameType", "AcquisitionDateTime": "FrameAcquisitionDateTime"}
_SAME_MOMENT = timedelta(seconds=1)


def is_enhanced(header: pydicom.Dataset) -> bool:
    """Returns whether a file has functional groups, one per frame."""
    return _PER_FRAME in header


def flat_frames(header: pydicom.Dataset) -> list[pydicom.Dataset]:
    """Merges the functional groups of every frame up to the keywords of single-frame objects.

    Besides what the groups name alike, it fills Image Type, Acquisition Date and Time, Actual Frame
    Duration, Frame Reference Time, Corrected Image, Decay Correction (with Series Date and Time as
    the moment of reference) and Units (from the Real World Value Mapping, whose slope and intercept
    then replace the rescale's).

    Args:
        header: an enhanced object without Pixel Data.

    Returns:
        One data set per frame in the order of the pixels.

    Raises:
        InputDataError: if the groups do not match the number of frames, the frames belong to
            several time points, or the decay was corrected to a moment that single-frame objects
            cannot express.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they may quote values of the header
        frames = _merged(header)
        _require_one_time(frames)
        for frame in frames:
            _fill_frame(frame)
        _fill_decay(frames)
    return frames


def flat_header(header: pydicom.Dataset) -> pydicom.Dataset:
    """Returns the header with the first frame's values where a single-frame object has them.

    For an index, which takes headers as they are: nothing is checked or converted, and elements
    that the header has of its own are kept. Frames that do not lie in one direction get no Image
    Orientation (Patient), so that the series is not taken for a stack.
    """
    flat = pydicom.Dataset()
    for keyword in (_SHARED, _PER_FRAME):
        for group in list(header.get(keyword) or [])[:1]:
            _merge(group, flat)
    for keyword, source in _OTHER_NAMES.items():
        if flat.get(source):
            _set(flat, keyword, flat[source].value)
    for element in header:
        is_own = element.keyword not in (_SHARED, _PER_FRAME)
        if is_own and not (element.is_empty and element.tag in flat):
            flat.add(element)
    if len(_orientations(header)) > 1:
        flat.ImageOrientationPatient = None
    return flat


def frame_positions(header: pydicom.Dataset) -> tuple[tuple[float, float, float], ...]:
    """Returns Image Position (Patient) of every frame in mm, LPS+; empty if one has none."""
    found = []
    for frame in header.get(_PER_FRAME) or []:
        planes = frame.get("PlanePositionSequence") or [pydicom.Dataset()]
        position = planes[0].get("ImagePositionPatient")
        if position is None or len(position) != 3:
            return ()
        found.append((float(position[0]), float(position[1]), float(position[2])))
    return tuple(found)


def _orientations(header: pydicom.Dataset) -> set[tuple[float, ...]]:
    found = set()
    for frame in header.get(_PER_FRAME) or []:
        for plane in frame.get("PlaneOrientationSequence") or []:
            found.add(tuple(round(float(v), 3) for v in plane.ImageOrientationPatient))
    return found


def _merged(header: pydicom.Dataset) -> list[pydicom.Dataset]:
    groups = header[_PER_FRAME].value
    count = int(header.get("NumberOfFrames") or 1)
    if len(groups) != count:
        raise InputDataError(
            f"it has {count} frames (0028,0008) but {len(groups)} items in the per-frame "
            "functional groups (5200,9230)."
        )
    common = pydicom.Dataset()
    for element in header:
        if element.keyword not in (_SHARED, _PER_FRAME, "NumberOfFrames", "PixelData"):
            common.add(element)
    for group in header.get(_SHARED) or []:
        _merge(group, common)
    frames = []
    for group in groups:
        frame = pydicom.Dataset({element.tag: element for element in common})
        frame.file_meta = header.file_meta
        _merge(group, frame)
        frames.append(frame)
    return frames


def _merge(group: pydicom.Dataset, into: pydicom.Dataset) -> None:
    for keyword in _MACROS:
        items = group.get(keyword) or []
        for element in items[0] if len(items) else ():
            into.add(element)
    if "RealWorldValueMappingSequence" in group:
        into.add(group["RealWorldValueMappingSequence"])


def _require_one_time(frames: list[pydicom.Dataset]) -> None:
    indices = {int(f.TemporalPositionIndex) for f in frames if f.get("TemporalPositionIndex")}
    if len(indices) > 1:
        raise InputDataError(
            f"it has {len(indices)} temporal positions (0020,9128): a dynamic scan. Export a "
            "static series."
        )


def _fill_frame(frame: pydicom.Dataset) -> None:
    if "FrameType" in frame:
        _set(frame, "ImageType", frame.FrameType)
    if start := str(frame.get("FrameAcquisitionDateTime") or ""):
        _set_moment(frame, "Acquisition", start)
    if frame.get("FrameAcquisitionDuration") is not None:
        _set(frame, "ActualFrameDuration", round(float(frame.FrameAcquisitionDuration)))
    if frame.get("CorrectedImage") is None:
        done = [
            word for keyword, word in _CORRECTIONS.items() if _text(frame, keyword).upper() == "YES"
        ]
        if done:
            _set(frame, "CorrectedImage", done)
    if _text(frame, "Modality") == "PT" and not _text(frame, "Units"):
        _fill_units(frame)
    _choose_tracer(frame)


def _fill_units(frame: pydicom.Dataset) -> None:
    for mapping in frame.get("RealWorldValueMappingSequence") or []:
        codes = mapping.get("MeasurementUnitsCodeSequence") or []
        code = _text(codes[0], "CodeValue").lower().replace(" ", "") if len(codes) else ""
        if code in _UNITS and mapping.get("RealWorldValueSlope") is not None:
            units, kind = _UNITS[code]
            _set(frame, "Units", units)
            if kind:
                _set(frame, "SUVType", kind)
            _set(frame, "RescaleSlope", _decimal(mapping.RealWorldValueSlope))
            intercept = mapping.get("RealWorldValueIntercept") or 0.0
            _set(frame, "RescaleIntercept", _decimal(intercept))
            return


def _decimal(value: float) -> str:
    # A DS has at most 16 characters; nine digits are more than a float32 resolves.
    return f"{float(value):.9g}"


def _choose_tracer(frame: pydicom.Dataset) -> None:
    """Keeps the agent that this frame was measured with, if several were given."""
    items = frame.get("RadiopharmaceuticalInformationSequence") or []
    agent = frame.get("RadiopharmaceuticalAgentNumber")
    if len(items) > 1 and agent is not None:
        own = [item for item in items if item.get("RadiopharmaceuticalAgentNumber") == agent]
        if len(own) == 1:
            _set(frame, "RadiopharmaceuticalInformationSequence", own)


def _fill_decay(frames: list[pydicom.Dataset]) -> None:
    """Fills Decay Correction, Series Date and Time and Frame Reference Time."""
    first = frames[0]
    corrected = _text(first, "DecayCorrected").upper()
    if not corrected or _text(first, "DecayCorrection"):
        return
    starts = [_text(frame, "FrameAcquisitionDateTime") for frame in frames]
    if not all(starts):
        raise InputDataError("a frame has no Frame Acquisition DateTime (0018,9074).")
    start = min(starts, key=_moment)
    kind, reference = _decay_reference(first, corrected, start)
    for frame in frames:
        _set(frame, "DecayCorrection", kind)
        _set_moment(frame, "Series", reference)
        if kind != "START":  # what remains is that of the scan's start, for SUV code
            frame.pop("DecayCorrectionDateTime", None)
        if middle := _text(frame, "FrameReferenceDateTime"):
            seconds = (_moment(middle) - _moment(reference)).total_seconds()
            _set(frame, "FrameReferenceTime", f"{1000 * seconds:.1f}")


def _decay_reference(first: pydicom.Dataset, corrected: str, start: str) -> tuple[str, str]:
    """Returns Decay Correction (0054,1102) and the date-time that Series Time stands for."""
    if corrected == "NO":
        return "NONE", start
    reference = _text(first, "DecayCorrectionDateTime")
    if not reference:
        raise InputDataError(
            "Decay Corrected (0018,9758) is YES without Decay Correction DateTime (0018,9701)."
        )
    items = first.get("RadiopharmaceuticalInformationSequence") or []
    injected = _text(items[0], "RadiopharmaceuticalStartDateTime") if len(items) else ""
    if injected and abs(_moment(reference) - _moment(injected)) <= _SAME_MOMENT:
        return "ADMIN", start
    if _moment(reference) - _moment(start) <= _SAME_MOMENT:
        return "START", reference
    raise InputDataError(
        f"Decay Correction DateTime (0018,9701) at {_moment(reference):%H:%M:%S} is after the "
        f"first frame at {_moment(start):%H:%M:%S}; it is neither the injection nor the start."
    )


def _moment(text: str) -> datetime:
    value = converted(DT, text)
    if value is None:
        raise InputDataError(f"{text!r} is no DateTime (DT) of DICOM.")
    # Zones are dropped: within one object all times are written in the scanner's.
    return datetime.combine(value.date(), value.time())


def _set(frame: pydicom.Dataset, keyword: str, value: object) -> None:
    # Assigning an attribute would change the element, which all frames may share.
    frame.add_new(keyword, dictionary_VR(keyword), value)


def _set_moment(frame: pydicom.Dataset, prefix: str, text: str) -> None:
    moment = _moment(text)
    _set(frame, f"{prefix}Date", f"{moment:%Y%m%d}")
    _set(frame, f"{prefix}Time", f"{moment:%H%M%S.%f}")


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()
