"""Files sorted into studies and series by what their headers say; the folder tree does not matter.

One Series Instance UID may hold what is no single stack: a localizer among the slices of a CT, two
reconstructions, two frames of reference. Such a series is split into parts that are judged apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from petct_ext.dicom.files.headers import FileHeader
from petct_ext.dicom.suv.audit import element_name

__all__ = ["Series", "Study", "group_studies", "image_normal"]

_SAME_DIRECTION = 0.01  # largest difference of direction cosines within a stack
_PLACE_DECIMALS = 2  # positions closer than 0.01 mm are one
_MOST_PARTS = 4  # stacks in one series; more, of single slices, are one stack with a faulty element
_OF_ONE_STACK = (
    "Modality",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "ConvolutionKernel",
    "ReconstructionMethod",
    "Units",
)
_SUV_VALUES = ("PatientWeight", "PatientSize", "PatientSex", "DecayCorrection", "InjectedDoseBq")
_ANY_DAY = "19000101"
_FRAME = "FrameOfReferenceUID"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Files of one series that could form one stack.

    Attributes:
        key: Series Instance UID, with ``#2``, ``#3``, ... for further parts of a mixed series.
        files: headers in order of their paths, every SOP instance once.
        num_images: slices of all files, frames counted.
        places_mm: distinct positions along the normal of the slices, ascending, in mm.
        extent_mm: lowest and highest slice position along the patient's z axis; None if unknown.
        started: when the first slice was acquired, else the series' own time; None if unknown.
        notes: what was peculiar about the files.
        fault: why the series cannot be a stack although its slices could: an element that differs
            from slice to slice, or copies of a slice that contradict each other.
    """

    key: str
    files: tuple[FileHeader, ...]
    num_images: int
    places_mm: tuple[float, ...]
    extent_mm: tuple[float, float] | None
    started: datetime | None
    notes: tuple[str, ...] = ()
    fault: str = ""

    @property
    def first(self) -> FileHeader:
        """The header that stands for the series."""
        return self.files[0]

    @property
    def num_slices(self) -> int:
        """Number of distinct positions, or of images where positions are missing."""
        return len(self.places_mm) or self.num_images

    @property
    def length_mm(self) -> float:
        """Distance of the outermost slices along the patient's z axis in mm; 0 if unknown."""
        return self.extent_mm[1] - self.extent_mm[0] if self.extent_mm else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All series of one Study Instance UID.

    Attributes:
        uid: Study Instance UID.
        patients: distinct non-empty Patient IDs.
        series: its series in order of their keys.
    """

    uid: str
    patients: tuple[str, ...]
    series: tuple[Series, ...]

    def has(self, modality: str) -> bool:
        """Returns whether a series is of this modality."""
        return any(s.first.text("Modality") == modality for s in self.series)


def group_studies(headers: Iterable[FileHeader]) -> list[Study]:
    """Sorts files into studies and series; the order of the files does not matter."""
    studies: dict[str, dict[str, list[FileHeader]]] = defaultdict(lambda: defaultdict(list))
    for header in headers:
        study = studies[header.text("StudyInstanceUID")]
        study[header.text("SeriesInstanceUID")].append(header)
    return [
        Study(
            uid,
            tuple(
                sorted({f.text("PatientID") for files in of_study.values() for f in files} - {""})
            ),
            tuple(part for key in sorted(of_study) for part in _parts(key, of_study[key])),
        )
        for uid, of_study in sorted(studies.items())
    ]


def image_normal(header: FileHeader) -> tuple[float, float, float] | None:
    """Returns the unit normal of the slices (LPS+), None if the orientation is missing or odd."""
    directions = header.vector("ImageOrientationPatient", 6)
    if directions is None:
        return None
    normal = np.cross(directions[:3], directions[3:])
    length = float(np.linalg.norm(normal))
    if not 0.9 < length < 1.1:
        return None
    x, y, z = (float(v) / length for v in normal)
    return x, y, z


def _parts(uid: str, files: Sequence[FileHeader]) -> list[Series]:
    files, num_copies, contradiction = _without_copies(files)
    directions = _direction_groups(files)
    groups: dict[tuple[str, ...], list[FileHeader]] = defaultdict(list)
    for header in files:
        groups[tuple(_stack_of(header, directions).values())].append(header)
    notes = [f"{num_copies} repeated file(s) ignored"] if num_copies else []
    if len(groups) == 1 or contradiction:
        return [_series(uid, files, tuple(notes), fault=contradiction)]
    elements = _differing(files, directions)
    # Slices that differ in their frame of reference alone would pass for parts of one body each.
    alike = {
        tuple(v for n, v in _stack_of(f[0], directions).items() if n != _FRAME)
        for f in groups.values()
    }
    if len(groups) > max(_MOST_PARTS, len(files) // 2) or len(alike) < len(groups):
        fault = f"its slices differ in {elements}, which must be one in a stack; export it again"
        return [_series(uid, files, tuple(notes), fault=fault)]
    notes.append(f"mixed series, split into {len(groups)} parts by {elements}")
    # By content, not by UID: the number of a part must not depend on who exported it.
    ordered = [groups[stack] for stack in sorted(groups, key=lambda s: (-len(groups[s]), s))]
    keys = [uid, *(f"{uid}#{number}" for number in range(2, len(ordered) + 1))]
    return [_series(key, group, tuple(notes)) for key, group in zip(keys, ordered, strict=True)]


def _differing(files: Sequence[FileHeader], directions: dict[str, int]) -> str:
    """Returns name and tag of the elements in which files of one series differ."""
    stacks = [_stack_of(header, directions) for header in files]
    found = [name for name in stacks[0] if len({stack[name] for stack in stacks}) > 1]
    return ", ".join(element_name(name) for name in found)


def _without_copies(files: Sequence[FileHeader]) -> tuple[list[FileHeader], int, str]:
    """Keeps one file of each SOP instance; equal UIDs at different positions are two instances.

    Returns:
        The files, the number of copies, and what copies of one slice say against each other.
    """
    kept: dict[tuple[object, ...], FileHeader] = {}
    differing: dict[str, None] = {}
    for header in sorted(files, key=_path):
        first = kept.setdefault((header.instance or header.path, header.positions), header)
        if first.values is not header.values:
            compared = (*_SUV_VALUES, *_OF_ONE_STACK)
            differing |= dict.fromkeys(n for n in compared if first.text(n) != header.text(n))
    names = ", ".join(
        "Radionuclide Total Dose (0018,1074)" if n == "InjectedDoseBq" else element_name(n)
        for n in differing
    )
    why = f"copies of its slices differ in {names}; keep the right ones" if names else ""
    return list(kept.values()), len(files) - len(kept), why


def _path(header: FileHeader) -> str:
    return header.path


def _direction_groups(files: Sequence[FileHeader]) -> dict[str, int]:
    """Numbers the orientations so that those that differ by rounding only share a number."""
    found = {f.text("ImageOrientationPatient"): f for f in files}
    numbers: dict[str, int] = {}
    examples: list[tuple[float, ...] | None] = []
    for text in sorted(found):
        own = found[text].vector("ImageOrientationPatient", 6)
        for number, example in enumerate(examples):
            if own == example or (
                own is not None
                and example is not None
                and max(abs(a - b) for a, b in zip(own, example, strict=True)) < _SAME_DIRECTION
            ):
                numbers[text] = number
                break
        else:
            numbers[text] = len(examples)
            examples.append(own)
    return numbers


def _stack_of(header: FileHeader, directions: dict[str, int]) -> dict[str, str]:
    """Returns what the slices of one stack have in common, by keyword."""
    spacing = header.vector("PixelSpacing", 2)
    return {
        **{name: header.text(name) for name in _OF_ONE_STACK},
        "CorrectedImage": "\\".join(sorted(header.text("CorrectedImage").upper().split("\\"))),
        "SeriesDescription": str(header.says("uncorrected")),
        "ImageOrientationPatient": str(directions[header.text("ImageOrientationPatient")]),
        "PixelSpacing": str(tuple(round(v, 3) for v in spacing) if spacing else None),
        "ImageType": str("LOCALIZER" in header.text("ImageType").upper()),
    }


def _series(
    key: str, files: Sequence[FileHeader], notes: tuple[str, ...], *, fault: str = ""
) -> Series:
    positions = [p for f in files for p in f.positions]
    normal = image_normal(files[0]) or (0.0, 0.0, 1.0)
    places = {
        round(p[0] * normal[0] + p[1] * normal[1] + p[2] * normal[2], _PLACE_DECIMALS)
        for p in positions
    }
    heights = [p[2] for p in positions]
    num_images = sum(max(len(f.positions), int(f.number("NumberOfFrames") or 1)) for f in files)
    return Series(
        key,
        tuple(files),
        num_images,
        tuple(sorted(places)),
        (min(heights), max(heights)) if heights else None,
        _started(files),
        notes,
        fault,
    )


def _started(files: Sequence[FileHeader]) -> datetime | None:
    """Returns when the first slice was acquired; without any date by times of day alone."""
    stamps = {f.acquired for f in files}
    own = f"{files[0].text('SeriesDate')} {files[0].text('SeriesTime')}"
    if not any(stamp.partition(" ")[0] for stamp in (*stamps, own)):
        stamps, own = {f"{_ANY_DAY}{stamp}" for stamp in stamps}, f"{_ANY_DAY}{own}"
    acquired = [m for stamp in stamps if (m := _moment(stamp)) is not None]
    return min(acquired) if acquired else _moment(own)


def _moment(text: str) -> datetime | None:
    """Reads ``YYYYMMDD HHMMSS.f``; None if the day or the hour is missing or impossible."""
    day, _, clock = text.partition(" ")
    if len(clock.strip()) < 2:
        return None
    try:
        return datetime.strptime(f"{day} {clock.strip()[:6].ljust(6, '0')}", "%Y%m%d %H%M%S")
    except ValueError:
        return None
