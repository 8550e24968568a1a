"""Headers of small PET series whose stored values are known multiples of SUV 1."""

from __future__ import annotations

from typing import Any

import pydicom

from petct_ext.dicom.suv.factors import suv_bw_factors

F18_S = 6586.2
WEIGHT_KG, HEIGHT_M, DOSE_BQ = 70.0, 1.75, 350e6
HOT, BACKGROUND, COLD = 4.0, 1.0, 0.2


def pet_headers(num_slices: int = 3, **changes: Any) -> list[pydicom.Dataset]:
    """Returns headers of F-18 FDG, injected at 10:00 and scanned at 11:00 for 5 min.

    Args:
        num_slices: how many.
        **changes: elements by keyword; those of the radiopharmaceutical go into its sequence. A
            list of ``num_slices`` is one value per slice, None removes the element.
    """
    return [_header(number, num_slices, changes) for number in range(num_slices)]


def _header(number: int, num_slices: int, changes: dict[str, Any]) -> pydicom.Dataset:
    dataset, item = pydicom.Dataset(), pydicom.Dataset()
    nuclide = pydicom.Dataset()
    nuclide.CodeValue, nuclide.CodeMeaning = "C-111A1", "^18^Fluorine"
    elements: dict[str, Any] = {
        "Manufacturer": "Synthetic",
        "StudyDate": "20250102",
        "SeriesDate": "20250102",
        "SeriesTime": "110000",
        "AcquisitionDate": "20250102",
        "AcquisitionTime": "110000",
        "PatientWeight": WEIGHT_KG,
        "PatientSize": HEIGHT_M,
        "PatientSex": "M",
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["NORM", "ATTN", "DECY"],
        "ActualFrameDuration": 300000,
        "FrameReferenceTime": 150000.0,
        "DecayFactor": 1.0,
        "Radiopharmaceutical": "FDG",
        "RadiopharmaceuticalStartTime": "100000",
        "RadionuclideTotalDose": DOSE_BQ,
        "RadionuclideHalfLife": F18_S,
        "RadionuclideCodeSequence": [nuclide],
    }
    for keyword, value in (elements | changes).items():
        each = value
        if keyword in changes and isinstance(value, list) and len(value) == num_slices:
            each = value[number]
        if each is not None:
            setattr(item if keyword.startswith("Radio") else dataset, keyword, each)
    dataset.RadiopharmaceuticalInformationSequence = [item]
    return dataset


def nuclide_code(value: str, meaning: str) -> pydicom.Dataset:
    """Returns an item for Radionuclide Code Sequence."""
    item = pydicom.Dataset()
    item.CodeValue, item.CodeMeaning = value, meaning
    return item


def add_private(
    datasets: list[pydicom.Dataset],
    tag: tuple[int, int],
    value: Any,
    *,
    creator: str | None,
    vr: str = "DS",
) -> list[pydicom.Dataset]:
    """Adds a private element, and its Private Creator unless that is None, to every slice."""
    for dataset in datasets:
        if creator is not None:
            dataset.add_new((tag[0], tag[1] >> 8), "LO", creator)
        dataset.add_new(tag, vr, value)
    return datasets


def factor(datasets: list[pydicom.Dataset]) -> float:
    """Returns the factor of the first slice."""
    return float(suv_bw_factors(datasets).factors[0])
