"""Headers of enhanced multi-frame PET and CT: one file holds a whole series.

What a classic slice keeps in its own elements stands here in functional groups, shared by all
frames or one per frame. Source: DICOM PS3.3 C.7.6.16 (functional groups), A.38 (enhanced CT), A.56
(enhanced PET), A.70 and A.72 (legacy converted; their unassigned attributes are groups as well).
"""

from __future__ import annotations

from collections.abc import Iterator

import pydicom

__all__ = ["flat_header", "frame_positions", "is_multi_frame"]

# Keyword of the classic object: keywords that hold the same in a functional group.
_MOVED = {
    "PixelSpacing": ("PixelSpacing",),
    "ImageOrientationPatient": ("ImageOrientationPatient",),
    "ConvolutionKernel": ("ConvolutionKernel",),
    "CorrectedImage": ("CorrectedImage",),
    "AttenuationCorrectionMethod": ("AttenuationCorrectionMethod",),
    "SeriesType": ("SeriesType",),
    "Units": ("Units",),
    "ImageType": ("FrameType",),
    "VolumeBasedCalculationTechnique": ("VolumeBasedCalculationTechnique",),
    "AcquisitionDateTime": ("FrameAcquisitionDateTime",),
    "BodyPartExamined": ("BodyPartExamined",),
}
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def is_multi_frame(dataset: pydicom.Dataset) -> bool:
    """Returns whether the file has functional groups."""
    return any(keyword in dataset for keyword in _GROUPS)


def flat_header(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """Returns the header with the first frame's values where a classic slice has them.

    Elements that the header has of its own are kept. Frames that do not lie in one direction get
    no Image Orientation (Patient), so that the series is not taken for a stack.
    """
    flat = pydicom.Dataset()
    flat.update({element.tag: element for element in dataset if element.keyword not in _GROUPS})
    groups = list(_first_groups(dataset))
    for keyword, sources in _MOVED.items():
        if flat.get(keyword):
            continue
        for group, source in ((g, s) for g in groups for s in sources):
            if group.get(source):
                setattr(flat, keyword, group.get(source))
                break
    if len(_orientations(dataset)) > 1:
        flat.ImageOrientationPatient = None
    return flat


def frame_positions(dataset: pydicom.Dataset) -> tuple[tuple[float, float, float], ...]:
    """Returns Image Position (Patient) of every frame in mm, LPS+; empty if one has none."""
    found = []
    for frame in dataset.get("PerFrameFunctionalGroupsSequence") or []:
        planes = frame.get("PlanePositionSequence") or [pydicom.Dataset()]
        position = planes[0].get("ImagePositionPatient")
        if position is None or len(position) != 3:
            return ()
        found.append((float(position[0]), float(position[1]), float(position[2])))
    return tuple(found)


def _first_groups(dataset: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Yields the items of all shared functional groups and of those of the first frame."""
    for keyword in _GROUPS:
        for item in list(dataset.get(keyword) or [])[:1]:
            for element in item:
                if element.VR == "SQ" and element.value:
                    yield element.value[0]


def _orientations(dataset: pydicom.Dataset) -> set[tuple[float, ...]]:
    found = set()
    for frame in dataset.get("PerFrameFunctionalGroupsSequence") or []:
        for plane in frame.get("PlaneOrientationSequence") or []:
            found.add(tuple(round(float(v), 3) for v in plane.ImageOrientationPatient))
    return found
