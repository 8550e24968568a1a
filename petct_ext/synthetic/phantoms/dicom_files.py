"""Artificial exams as DICOM files, laid out and encoded as PET/CT scanners do.

Sources: DICOM PS3.3 A.3 (CT Image IOD), A.21 (PET Image IOD), C.8.9.1 (PET Series), C.8.9.2 (PET
Isotope), C.8.9.4 (PET Image); the choice of optional elements follows a GE Discovery ST.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from petct_ext.arrays import FloatArray
from petct_ext.synthetic.patients import Exam, Patient
from petct_ext.synthetic.phantoms.dicom_encoding import (
    PhantomStudy,
    SeriesWriter,
    Value,
    patient_id,
)
from petct_ext.synthetic.phantoms.images import VoxelGrid
from petct_ext.synthetic.phantoms.scanner import HALF_LIFE_S, decayed_fraction

__all__ = ["write_ct_series", "write_localizer", "write_pet_series", "write_screenshot"]

_MANUFACTURER = "petct_ext phantom"
_BED_MM = 130.0
_STORED_MAX = 32767


def write_ct_series(folder: Path, hu: FloatArray, *, grid: VoxelGrid, study: PhantomStudy) -> Path:
    """Writes a CT series of axial slices.

    Args:
        folder: folder of the study; the series gets a folder of its own in it.
        hu: HU, (X, Y, Z), RAS+.
        grid: voxels of ``hu``.
        study: what all series share.

    Returns:
        The folder of the series; its files are ``0001.dcm`` (feet) and so on.
    """
    base = _series(study, "CT", number=2, description="CT WB 5.0 B30f LOW DOSE")
    base.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    _set_time(base, "Series", study.start + timedelta(seconds=40))
    _set_time(base, "Acquisition", study.start + timedelta(seconds=60))
    base.KVP = "120"
    base.XRayTubeCurrent = "80"
    base.ExposureTime = "800"
    base.ConvolutionKernel = "STANDARD"
    base.DataCollectionDiameter = "500"
    base.ReconstructionDiameter = "500"
    base.GantryDetectorTilt = "0"
    base.AcquisitionNumber = "1"
    base.RescaleIntercept = "-1024"
    base.RescaleSlope = "1"
    base.RescaleType = "HU"
    base.WindowCenter = "40"
    base.WindowWidth = "400"
    _set_geometry(base, grid)
    stored = np.clip(np.rint(hu + np.float32(1024)), 0, 4095).astype("<u2")
    _set_pixel_format(base, signed=False, bits_stored=12)
    path = folder / str(base.SeriesInstanceUID)
    path.mkdir(parents=True, exist_ok=True)
    writer = SeriesWriter(base)
    for number, (k, position) in enumerate(_slices(grid), start=1):
        image = _slice(base, number, position)
        image["PixelData"] = _rows(stored[:, :, k])
        writer.write(path / f"{number:04d}.dcm", image)
    return path


def write_pet_series(
    folder: Path, suv: FloatArray, *, grid: VoxelGrid, study: PhantomStudy, corrected: bool = True
) -> Path:
    """Writes a PET series in Bq/mL with a rescale slope per slice.

    The activity is corrected for decay to the start of the series: ``SUV x dose x
    2^(-uptake time / half life) / weight``.

    Args:
        folder: folder of the study; the series gets a folder of its own in it.
        suv: SUVbw in g/mL, (X, Y, Z), RAS+, at least 0.
        grid: voxels of ``suv``.
        study: what all series share.
        corrected: whether the series is corrected for attenuation.

    Returns:
        The folder of the series; its files are ``0001.dcm`` (head) and so on.
    """
    base = _series(
        study,
        "PT" if corrected else "PT NAC",
        number=3 if corrected else 4,
        description="PET AC WB" if corrected else "PET NAC WB",
    )
    _set_time(base, "Series", study.pet_start)
    _set_pet_elements(base, study, grid, corrected=corrected)
    _set_geometry(base, grid)
    _set_pixel_format(base, signed=True, bits_stored=16)
    path = folder / str(base.SeriesInstanceUID)
    path.mkdir(parents=True, exist_ok=True)
    activity = suv * np.float32(study.bq_per_g)
    bed_of = _bed_numbers(grid)
    writer = SeriesWriter(base)
    for number, (k, position) in enumerate(reversed(list(_slices(grid))), start=1):
        image = _slice(base, number, position)
        image["ImageIndex"] = number
        image |= _frame(study, bed=int(bed_of[k]))
        image |= _stored_activity(activity[:, :, k])
        writer.write(path / f"{number:04d}.dcm", image)
    return path


def write_localizer(folder: Path, hu: FloatArray, *, grid: VoxelGrid, study: PhantomStudy) -> Path:
    """Writes the frontal projection with which a scan is planned, one CT image.

    Args:
        folder: folder of the study.
        hu: HU, (X, Y, Z), RAS+.
        grid: voxels of ``hu``.
        study: what all series share.

    Returns:
        The folder of the series.
    """
    base = _series(study, "CT scout", number=1, description="TOPOGRAM")
    base.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    _set_time(base, "Series", study.start)
    _set_time(base, "Acquisition", study.start)
    base.KVP = "120"
    base.RescaleIntercept = "-1024"
    base.RescaleSlope = "1"
    base.AcquisitionNumber = "1"
    projection = hu.mean(axis=1)
    stored = np.clip(np.rint(projection + 1024), 0, 4095).astype("<u2")
    base.PixelSpacing = [_number(grid.spacing_mm[2]), _number(grid.spacing_mm[0])]
    base.SliceThickness = _number(grid.spacing_mm[2])
    base.Rows, base.Columns = grid.shape[2], grid.shape[0]
    _set_pixel_format(base, signed=False, bits_stored=12)
    x, _, z = grid.axes()
    image = _slice(base, 1, (-float(x[-1]), 0.0, float(z[-1])))
    image["ImageOrientationPatient"] = ["1", "0", "0", "0", "0", "-1"]
    image["PixelData"] = _rows(stored)
    return _write_one(folder, base, image)


def write_screenshot(folder: Path, suv: FloatArray, *, study: PhantomStudy) -> Path:
    """Writes a secondary capture such as workstations add: a frontal view of the uptake.

    Args:
        folder: folder of the study.
        suv: SUVbw in g/mL, (X, Y, Z), RAS+.
        study: what all series share.

    Returns:
        The folder of the series.
    """
    base = _series(study, "OT", number=99, description="SAVED SCREEN")
    base.ImageType = ["DERIVED", "SECONDARY"]
    base.ConversionType = "WSD"
    _set_time(base, "Series", study.pet_start + timedelta(minutes=40))
    view = 255 - np.clip(suv.max(axis=1) * 30, 0, 255).astype(np.uint8)
    base.Rows, base.Columns = view.shape[1], view.shape[0]
    _set_pixel_format(base, signed=False, bits_stored=8)
    image: dict[str, Value] = {
        "SOPInstanceUID": study.uid("OT", 1),
        "InstanceNumber": "1",
        "PixelData": _rows(view),
    }
    return _write_one(folder, base, image)


def _series(study: PhantomStudy, kind: str, *, number: int, description: str) -> Dataset:
    """Returns the elements that every image of a series shares, without geometry and pixels."""
    patient, exam = study.patient, study.exam
    modality = kind.split()[0]
    base = Dataset()
    base.SpecificCharacterSet = "ISO_IR 192"
    base.SOPClassUID = {
        "CT": CTImageStorage,
        "PT": PositronEmissionTomographyImageStorage,
        "OT": SecondaryCaptureImageStorage,
    }[modality]
    base.Modality = modality
    base.Manufacturer = _MANUFACTURER
    base.ManufacturerModelName = study.model
    base.PatientName = f"PHANTOM^{patient.number:04d}"
    base.PatientID = patient_id(patient)
    base.PatientBirthDate = ""
    base.PatientSex = patient.sex
    base.PatientAge = f"{_age_years(patient, exam):03d}Y"
    base.PatientSize = f"{patient.height_m:.2f}"
    base.PatientWeight = f"{patient.weight_kg:.1f}"
    base.PatientComments = "Artificial exam, no human being."
    base.StudyInstanceUID = study.uid("study")
    base.SeriesInstanceUID = study.uid("series", kind)
    base.FrameOfReferenceUID = study.uid("frame of reference")
    base.PositionReferenceIndicator = ""
    base.StudyID = str(exam.number + 1)
    base.AccessionNumber = ""
    base.ReferringPhysicianName = ""
    base.StudyDescription = study.description
    base.SeriesDescription = description
    base.SeriesNumber = str(number)
    base.PatientPosition = "HFS"
    _set_time(base, "Study", study.start)
    _set_time(base, "Content", study.pet_start + timedelta(minutes=30))
    base.SamplesPerPixel = 1
    base.PhotometricInterpretation = "MONOCHROME2"
    return base


def _set_pet_elements(
    base: Dataset, study: PhantomStudy, grid: VoxelGrid, *, corrected: bool
) -> None:
    base.ImageType = ["ORIGINAL", "PRIMARY"]
    base.SeriesType = ["WHOLE BODY", "IMAGE"]
    base.Units = "BQML"
    base.CountsSource = "EMISSION"
    base.CollimatorType = "RING"
    base.DecayCorrection = "START"
    base.RandomsCorrectionMethod = "SING"
    base.ScatterCorrectionMethod = "Model based" if corrected else "NONE"
    base.AttenuationCorrectionMethod = "measured, CTAC" if corrected else "NONE"
    base.ReconstructionMethod = "OSEM"
    done = ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"]
    base.CorrectedImage = done if corrected else [d for d in done if d not in ("ATTN", "SCAT")]
    base.ActualFrameDuration = str(round(study.frame_s * 1000))
    base.NumberOfSlices = grid.shape[2]
    base.RescaleIntercept = "0"
    base.RadiopharmaceuticalInformationSequence = Sequence([_injection(study)])
    base.PatientOrientationCodeSequence = Sequence([_code("102538003", "recumbent")])
    base.PatientGantryRelationshipCodeSequence = Sequence([_code("102540008", "headfirst")])


def _frame(study: PhantomStudy, *, bed: int) -> dict[str, Value]:
    """Returns the elements that say when the bed position of a slice was measured."""
    begin_s = bed * study.frame_s
    begin = study.pet_start + timedelta(seconds=begin_s)
    reference_s = begin_s + _mean_decay_time_s(study.frame_s)
    return {
        "AcquisitionDate": begin.strftime("%Y%m%d"),
        "AcquisitionTime": _time(begin),
        "FrameReferenceTime": f"{reference_s * 1000:.1f}",
        "DecayFactor": f"{1 / decayed_fraction(reference_s):.6f}",
    }


def _stored_activity(activity: FloatArray) -> dict[str, Value]:
    """Returns a plane in Bq/mL as stored; each slice has its own slope, to use all 15 bits."""
    slope = _number(max(float(activity.max()), 1e-3) / _STORED_MAX)
    stored = np.clip(np.rint(activity / np.float32(slope)), 0, _STORED_MAX).astype("<i2")
    return {"RescaleSlope": slope, "PixelData": _rows(stored)}


def _injection(study: PhantomStudy) -> Dataset:
    injected = study.pet_start - timedelta(minutes=study.exam.uptake_minutes)
    item = Dataset()
    item.Radiopharmaceutical = "Fluorodeoxyglucose F^18^"
    item.RadiopharmaceuticalStartTime = _time(injected)
    item.RadiopharmaceuticalStartDateTime = injected.strftime("%Y%m%d") + _time(injected)
    item.RadionuclideTotalDose = _number(study.exam.injected_dose_mbq * 1e6)
    item.RadionuclideHalfLife = _number(HALF_LIFE_S)
    item.RadionuclidePositronFraction = "0.9673"
    item.RadionuclideCodeSequence = Sequence([_code("77004003", "^18^Fluorine")])
    item.RadiopharmaceuticalCodeSequence = Sequence([_code("35321007", "Fluorodeoxyglucose F^18^")])
    return item


def _code(value: str, meaning: str) -> Dataset:
    """Returns a code of SNOMED CT (DICOM PS3.16, CID 4020, 4021, 19 and 21)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = meaning
    return item


def _set_geometry(base: Dataset, grid: VoxelGrid) -> None:
    base.Rows, base.Columns = grid.shape[1], grid.shape[0]
    base.PixelSpacing = [_number(grid.spacing_mm[1]), _number(grid.spacing_mm[0])]
    base.SliceThickness = _number(grid.spacing_mm[2])
    base.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def _set_pixel_format(base: Dataset, *, signed: bool, bits_stored: int) -> None:
    base.BitsAllocated = 8 if bits_stored == 8 else 16
    base.BitsStored = bits_stored
    base.HighBit = bits_stored - 1
    base.PixelRepresentation = int(signed)


def _slice(base: Dataset, number: int, position: tuple[float, float, float]) -> dict[str, Value]:
    """Returns the elements of one slice of the series ``base``, without pixels."""
    uid = generate_uid(entropy_srcs=[str(base.SeriesInstanceUID), str(number)])
    return {
        "SOPInstanceUID": uid,
        "InstanceNumber": str(number),
        "ImagePositionPatient": [_number(p) for p in position],
        "SliceLocation": _number(position[2]),
    }


def _slices(grid: VoxelGrid) -> Iterator[tuple[int, tuple[float, float, float]]]:
    """Yields index and LPS position of the first pixel of each slice, from feet to head."""
    x, y, _ = grid.axes()
    for k in range(grid.shape[2]):
        # The first pixel lies at the patient's right front: -x and -y in LPS.
        height = grid.origin_mm[2] + k * grid.spacing_mm[2]
        yield k, (-float(x[-1]), -float(y[-1]), height)


def _rows(plane: NDArray[Any]) -> bytes:
    """Returns a RAS+ plane (X, Y) as DICOM rows: columns towards the left, rows to the back."""
    return np.ascontiguousarray(plane[::-1, ::-1].T).tobytes()


def _bed_numbers(grid: VoxelGrid) -> NDArray[np.int64]:
    """Returns the bed position of each slice; the first is at the thighs."""
    _, _, z = grid.axes()
    return np.asarray((z - z[0]) // _BED_MM, np.int64)


def _mean_decay_time_s(frame_s: float) -> float:
    """Returns when in a frame the activity equals its mean (DICOM PS3.3 C.8.9.4.1.5)."""
    rate = np.log(2) / HALF_LIFE_S
    return float(np.log(rate * frame_s / (1 - np.exp(-rate * frame_s))) / rate)


def _age_years(patient: Patient, exam: Exam) -> int:
    later = (exam.exam_date - patient.exams[0].exam_date).days if patient.exams else 0
    return int(patient.age_years + later / 365.25)


def _set_time(base: Dataset, of: str, when: datetime) -> None:
    setattr(base, f"{of}Date", when.strftime("%Y%m%d"))
    setattr(base, f"{of}Time", _time(when))


def _time(when: datetime) -> str:
    return when.strftime("%H%M%S.%f")[:9]


def _number(value: float) -> str:
    """Returns a number as a DICOM decimal string of at most 16 characters."""
    return f"{value:.10g}"


def _write_one(folder: Path, base: Dataset, image: dict[str, Value]) -> Path:
    """Writes a series of one file."""
    path = folder / str(base.SeriesInstanceUID)
    path.mkdir(parents=True, exist_ok=True)
    SeriesWriter(base).write(path / "0001.dcm", image)
    return path
