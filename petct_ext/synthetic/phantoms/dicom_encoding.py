"""Identifiers of an artificial exam, and writing many DICOM files that differ in few elements.

Encoding a slice element by element takes longer than drawing it. Here the elements that all slices
of a series share are encoded once, by pydicom; the few others are plain text. The files are the
same, byte for byte, as those of ``Dataset.save_as(enforce_file_format=True)``.

Source: DICOM PS3.5, section 7.1.2 (Explicit VR Little Endian), PS3.10, section 7.1 (file header).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from petct_ext.errors import InputDataError
from petct_ext.synthetic.patients import Exam, Patient
from petct_ext.synthetic.phantoms.scanner import decayed_fraction

__all__ = [
    "PhantomStudy",
    "SeriesWriter",
    "Value",
    "new_study",
    "patient_id",
    "study_uid",
]

Value: TypeAlias = str | int | bytes | Sequence[str]
"""Value of an element: text, several texts, a number (US) or bytes (OW)."""

_PREAMBLE = b"\0" * 128 + b"DICM"
_TEXT_VRS = frozenset({"CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI"})


class SeriesWriter:
    """Writes the slices of one series in Explicit VR Little Endian.

    Args:
        base: the elements that all slices share, with ``SOPClassUID``. Those that a slice gives
            as well are replaced.
    """

    def __init__(self, base: Dataset) -> None:
        self._shared = {int(element.tag): _encode_shared(base, element.tag) for element in base}
        self._sop_class_uid = UID(base.SOPClassUID)

    def write(self, path: Path, changed: Mapping[str, Value]) -> None:
        """Writes one file.

        Args:
            path: where to; its folder exists.
            changed: values of the elements of this slice by keyword, among them
                ``SOPInstanceUID`` and ``PixelData``.

        Raises:
            InputDataError: if a keyword is unknown or its VR is not among those supported.
        """
        elements = dict(self._shared)
        for keyword, value in changed.items():
            tag, vr = _tag_and_vr(keyword)
            elements[tag] = _encode(tag, vr, value)
        uid = str(changed["SOPInstanceUID"])
        head = _head(self._sop_class_uid, len(uid)).replace(_placeholder(len(uid)), uid.encode())
        body = b"".join(elements[tag] for tag in sorted(elements))
        path.write_bytes(_PREAMBLE + head + body)


@cache
def _tag_and_vr(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword)
    vr = "OW" if keyword == "PixelData" else (dictionary_VR(tag) if tag is not None else "")
    if tag is None or vr not in _TEXT_VRS | {"US", "OW"}:
        raise InputDataError(f"DICOM element {keyword!r} (VR {vr!r}) cannot be set per slice.")
    return tag, vr


def _encode(tag: int, vr: str, value: Value) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if isinstance(value, bytes):
        value += b"\0" * (len(value) % 2)
        return head + struct.pack("<HL", 0, len(value)) + value
    if isinstance(value, int):
        return head + struct.pack("<HH", 2, value)
    text = value if isinstance(value, str) else "\\".join(value)
    encoded = text.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == "UI" else b" "
    return head + struct.pack("<H", len(encoded)) + encoded


def _encode_shared(base: Dataset, tag: int) -> bytes:
    alone = Dataset()
    alone.add(base[tag])
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, alone, parent_encoding="utf-8")
    return buffer.getvalue()


def _placeholder(length: int) -> bytes:
    return b"1." + b"9" * (length - 2)


@cache
def _head(sop_class_uid: UID, uid_length: int) -> bytes:
    """Returns the file meta information with a placeholder for the instance UID."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class_uid
    meta.MediaStorageSOPInstanceUID = UID(_placeholder(uid_length).decode())
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()


_DESCRIPTIONS = ("PET CT WHOLE BODY", "PET/CT SKULL TO THIGH", "FDG PET-CT ONCOLOGY", "PET CT")


@dataclass(frozen=True, slots=True)
class PhantomStudy:
    """What all series of an exam share.

    Attributes:
        patient: who.
        exam: when, and with which dose.
        seed: seed of the cohort, from which the UIDs are made.
        start: beginning of the study.
        pet_start: beginning of the PET, to which its activity is corrected.
        frame_s: time per bed position of the PET in s.
        description: Study Description (0008,1030).
        model: Manufacturer's Model Name (0008,1090).
    """

    patient: Patient
    exam: Exam
    seed: int
    start: datetime
    pet_start: datetime
    frame_s: float
    description: str
    model: str

    @property
    def bq_per_g(self) -> float:
        """Activity left at the start of the PET over the body weight, in Bq/g."""
        left = decayed_fraction(self.exam.uptake_minutes * 60)
        return self.exam.injected_dose_mbq * 1e6 * left / (self.patient.weight_kg * 1000)

    def uid(self, *what: object) -> UID:
        """Returns a UID that depends on the seed, the exam and ``what`` only."""
        return _uid(self.seed, self.patient, self.exam, *what)


def patient_id(patient: Patient) -> str:
    """Returns the Patient ID (0010,0020), e.g. ``PHANTOM0007``."""
    return f"PHANTOM{patient.number:04d}"


def study_uid(patient: Patient, exam: Exam, *, seed: int) -> str:
    """Returns the Study Instance UID (0020,000D) of an exam."""
    return str(_uid(seed, patient, exam, "study"))


def new_study(patient: Patient, exam: Exam, *, seed: int) -> PhantomStudy:
    """Draws what the facts of an exam leave open: times of the day, description, scanner."""
    rng = np.random.default_rng([seed, patient.number, 13, exam.number])
    midnight = datetime.combine(exam.exam_date, datetime.min.time())
    start = midnight + timedelta(seconds=int(rng.integers(8 * 3600, 16 * 3600)))
    return PhantomStudy(
        patient=patient,
        exam=exam,
        seed=seed,
        start=start,
        pet_start=start + timedelta(seconds=int(rng.integers(150, 300))),
        frame_s=float(rng.choice([120.0, 150.0, 180.0, 240.0])),
        description=str(rng.choice(_DESCRIPTIONS)),
        model=str(rng.choice(["Analytic ST", "Analytic 690"])),
    )


def _uid(seed: int, patient: Patient, exam: Exam, *what: object) -> UID:
    key = [str(v) for v in ("petct_ext", seed, patient.number, exam.number, *what)]
    return generate_uid(entropy_srcs=["|".join(key)])
