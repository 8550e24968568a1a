"""Headers of DICOM files, read without pixels: what is needed to sort files into exams.

Names and birth dates are looked at only to take them out of descriptions and to fill in a missing
age; they never leave this module. Identifiers stay in memory and in ``private/``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.config import disable_value_validation
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError

from petct_ext.dicom.files.descriptions import description_facts
from petct_ext.dicom.files.element_scan import scan_elements
from petct_ext.dicom.files.identity import (
    IDENTITY_CODES,
    IDENTITY_NAMES,
    header_identity,
    without_identity,
)
from petct_ext.dicom.series.enhanced import flat_header, frame_positions, is_enhanced
from petct_ext.errors import own_fault

__all__ = [
    "NOT_DICOM",
    "READER_VERSION",
    "FileHeader",
    "HeaderReader",
    "UnreadFile",
    "quiet_pydicom",
]

READER_VERSION = 3
"""Goes up whenever a header yields other values than before, so that kept ones are read again."""

NOT_DICOM = "not DICOM"
"""Reason of files that are of no interest and not worth a line each."""

_WINDOW_BYTES = 65_536  # headers of PET and CT slices take 3 to 20 KB
_MOST_KNOWN = 2_000  # some 10 MB

_TEXTS = ("StudyDescription", "SeriesDescription")
# Typed or configured texts that go into tables, unless they hold the patient's identity.
_OTHER_TEXTS = (
    "ReconstructionMethod",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "Manufacturer",
    "ManufacturerModelName",
    "Tracer",
)
_KEPT = (
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientAge",
    "PatientSex",
    "PatientWeight",
    "PatientSize",
    "StudyDate",
    "SeriesDate",
    "SeriesTime",
    "SeriesNumber",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ImageType",
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "ReconstructionMethod",
    "SliceThickness",
    "CorrectedImage",
    "AttenuationCorrected",
    "AttenuationCorrectionMethod",
    "DecayCorrection",
    "Units",
    "SeriesType",
    "VolumeBasedCalculationTechnique",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "NumberOfFrames",
    *_TEXTS,
)
_OF_ONE_SLICE = (
    "SOPInstanceUID",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ImagePositionPatient",
)
_SEQUENCES = (
    "RadiopharmaceuticalInformationSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

_KEYWORDS = (
    *_KEPT,
    *_OF_ONE_SLICE,
    *IDENTITY_NAMES,
    *IDENTITY_CODES,
    "PatientBirthDate",
    *_SEQUENCES,
)
_READ_TAGS: list[Any] = list(dict.fromkeys(_KEYWORDS))


def _tags(keywords: Sequence[str]) -> dict[str, int]:
    return {k: tag for k in keywords if (tag := tag_for_keyword(k)) is not None}


_OWN_TAGS = _tags(_OF_ONE_SLICE)
# Functional groups lie far behind; files that have them go to pydicom anyway.
_SCANNED = frozenset(
    {0x0008_0005, *_tags(_KEYWORDS).values()} - set(_tags(_SEQUENCES[1:]).values())
)
_SHARED_TAGS = tuple(sorted(_SCANNED - set(_OWN_TAGS.values())))


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What indexing needs of one DICOM file.

    Attributes:
        folder: folder of the file relative to the root of the archive, with ``/``.
        name: name of the file.
        values: elements as text by keyword, several values joined by a backslash; absent and
            empty ones are missing. Further keys: ``Tracer``, ``InjectedDoseBq``, and
            ``DescriptionFacts``, what the raw description says. The mapping is shared by all files
            with equal values: it must not be changed.
        instance: SOP Instance UID.
        positions: Image Position (Patient) of every slice in it, (x, y, z) in mm, LPS+; one for a
            classic slice, one per frame for an enhanced file; empty if missing.
        acquired: ``YYYYMMDD HHMMSS.f`` when the acquisition began, either part may be missing.
    """

    folder: str
    name: str
    values: dict[str, str]
    instance: str
    positions: tuple[tuple[float, float, float], ...]
    acquired: str

    @property
    def path(self) -> str:
        """Path relative to the root of the archive, with ``/``."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    def text(self, keyword: str) -> str:
        """Returns an element as text, empty if absent."""
        return self.values.get(keyword, "")

    def number(self, keyword: str) -> float | None:
        """Returns an element as a number, None if it is absent or none."""
        try:
            return float(self.values[keyword])
        except (KeyError, ValueError):
            return None

    def says(self, fact: str) -> bool:
        """Returns whether the raw description says a fact of ``DESCRIPTION_FACTS``."""
        return fact in self.text("DescriptionFacts").split("\\")

    def vector(self, keyword: str, length: int) -> tuple[float, ...] | None:
        """Returns a multi-valued element of exactly ``length`` numbers, else None."""
        return _numbers(self.values.get(keyword, ""), length)


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file that gives no header.

    Attributes:
        path: the file relative to the root, with ``/``.
        reason: why, without any value of the header.
        is_lasting: whether reading the same bytes again would end the same way.
    """

    path: str
    reason: str
    is_lasting: bool = True


class HeaderReader:
    """Reads headers; remembers the series it has met, so that further slices cost little.

    Args:
        root: the folder to which paths are relative.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[tuple[bytes | None, ...], dict[str, str]] = {}

    def read(self, path: str) -> FileHeader | UnreadFile:
        """Reads one file; whatever is in it, the answer is a header or a reason."""
        try:
            with (self._root / path).open("rb", buffering=0) as file:
                data = file.read(_WINDOW_BYTES)
                return self._recognize(path, data) or self._understand(path, data, file)
        except (InvalidDicomError, _NotDicomError):
            return UnreadFile(path, NOT_DICOM)
        except OSError as error:
            return UnreadFile(path, error.strerror or type(error).__name__, is_lasting=False)
        except MemoryError:
            return UnreadFile(path, "out of memory", is_lasting=False)
        except Exception as error:  # pydicom lets many kinds through, RecursionError among them
            if fault := own_fault(error):
                reason = f"it could not be read ({fault}): a fault of petct_ext, please report it"
                return UnreadFile(path, reason, is_lasting=False)
            return UnreadFile(path, f"damaged header ({type(error).__name__})")

    def _recognize(self, path: str, data: bytes) -> FileHeader | None:
        raw = scan_elements(data, _SCANNED, is_whole_file=len(data) < _WINDOW_BYTES)
        values = self._known.get(_key(raw)) if raw else None
        if not raw or values is None:
            return None
        own = {key: _ascii(raw.get(tag, b"")) for key, tag in _OWN_TAGS.items()}
        return _header(path, values, own)

    def _understand(self, path: str, data: bytes, file: BinaryIO) -> FileHeader | UnreadFile:
        dataset = _parse(data, file)
        if str(dataset.get("SOPClassUID") or "") == "1.2.840.10008.1.3.10":
            return UnreadFile(path, "DICOMDIR, a list of files")
        if not (dataset.get("SeriesInstanceUID") and dataset.get("StudyInstanceUID")):
            return UnreadFile(path, "no Series or Study Instance UID; cut off or no image")
        if is_enhanced(dataset):
            dataset, positions = flat_header(dataset), frame_positions(dataset)
            own = {key: _text(dataset, key) for key in _OF_ONE_SLICE}
            return _header(path, _values(dataset), own, positions)
        values = _values(dataset)
        raw = scan_elements(data, _SCANNED, is_whole_file=len(data) < _WINDOW_BYTES)
        if raw:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[_key(raw)] = values
        return _header(path, values, {key: _text(dataset, key) for key in _OF_ONE_SLICE})


class _NotDicomError(Exception):
    """The first bytes are not those of a DICOM file."""


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keeps pydicom from warning, since its warnings quote values of the header."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def _key(raw: dict[int, bytes]) -> tuple[bytes | None, ...]:
    return tuple(map(raw.get, _SHARED_TAGS))


def _parse(data: bytes, file: BinaryIO) -> pydicom.Dataset:
    """Reads from the bytes at hand, or from the file if the header is longer."""
    has_prefix = data[128:132] == b"DICM"
    if not has_prefix and data[:2] not in (b"\x08\x00", b"\x02\x00"):
        raise _NotDicomError  # files without a preamble begin with group 0008 or 0002
    if len(data) < _WINDOW_BYTES:
        source: BinaryIO = BytesIO(data)
    else:
        file.seek(0)
        source = file
    with quiet_pydicom():
        dataset = pydicom.dcmread(
            source, stop_before_pixels=True, specific_tags=_READ_TAGS, force=not has_prefix
        )
    if not dataset.get("SOPClassUID"):
        dataset.SOPClassUID = getattr(dataset.file_meta, "MediaStorageSOPClassUID", "")
    if not (has_prefix or dataset.SOPClassUID):
        raise _NotDicomError
    return dataset


def _header(
    path: str,
    values: dict[str, str],
    own: dict[str, str],
    positions: tuple[tuple[float, float, float], ...] | None = None,
) -> FileHeader:
    if positions is None:
        position = _numbers(own["ImagePositionPatient"], 3)
        positions = () if position is None else ((position[0], position[1], position[2]),)
    day, clock = own["AcquisitionDate"], own["AcquisitionTime"]
    if not (day and clock) and own["AcquisitionDateTime"]:
        day, clock = own["AcquisitionDateTime"][:8], own["AcquisitionDateTime"][8:]
    folder, _, name = path.rpartition("/")
    return FileHeader(folder, name, values, own["SOPInstanceUID"], positions, f"{day} {clock}")


def _values(dataset: pydicom.Dataset) -> dict[str, str]:
    values = {key: text for key in _KEPT if (text := _text(dataset, key))}
    words = header_identity(dataset)
    # Rules of the choice read what the raw text says; only what is kept is scrubbed.
    if facts := description_facts(values.get("SeriesDescription", "")):
        values["DescriptionFacts"] = "\\".join(facts)
    values |= _tracer(dataset)
    for key in (*_TEXTS, *_OTHER_TEXTS):
        if key in values:
            values[key] = without_identity(values[key], words)
    if "PatientAge" not in values and (age := _age(dataset)):
        values["PatientAge"] = age
    return values


def _age(dataset: pydicom.Dataset) -> str:
    """Returns the age in whole years on the day of the study from the birth date."""
    try:
        born = datetime.strptime(_text(dataset, "PatientBirthDate"), "%Y%m%d")
        day = datetime.strptime(_text(dataset, "StudyDate"), "%Y%m%d")
    except ValueError:
        return ""
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return f"{years:03d}Y" if 0 <= years < 130 else ""


def _tracer(dataset: pydicom.Dataset) -> dict[str, str]:
    """Tracer and dose: Radiopharmaceutical (0018,0031) and Radionuclide Total Dose (0018,1074)."""
    items = dataset.get("RadiopharmaceuticalInformationSequence") or []
    if not items:
        return {}
    codes = items[0].get("RadiopharmaceuticalCodeSequence") or []
    found = {
        "Tracer": _text(items[0], "Radiopharmaceutical")
        or (_text(codes[0], "CodeMeaning") if codes else ""),
        "InjectedDoseBq": _text(items[0], "RadionuclideTotalDose"),
    }
    return {key: text for key, text in found.items() if text}


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """Returns an element as text, empty if it is absent or cannot be converted."""
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return ""
    if value is None:
        return ""
    if isinstance(value, pydicom.multival.MultiValue | list | tuple):
        return "\\".join(map(str, value))
    return str(value).strip("\0 ")


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\0 ")


def _numbers(text: str, length: int) -> tuple[float, ...] | None:
    parts = text.split("\\")
    if len(parts) != length:
        return None
    try:
        return tuple(map(float, parts))
    except ValueError:
        return None
