"""The quick scan finds the bytes that pydicom finds, or says that it does not know."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from petct_ext.dicom.files.element_scan import scan_elements
from tests.conftest import shared_data

MODALITY, POSITION, UNITS, TRACER = 0x0008_0060, 0x0020_0032, 0x0054_1001, 0x0054_0016
WANTED = frozenset({MODALITY, POSITION, UNITS, TRACER})


def encoded(syntax: str, *, is_undefined_length: bool = False, weight: float = 70.0) -> bytes:
    item = pydicom.Dataset()
    item.Radiopharmaceutical = "FDG"
    inner = pydicom.Dataset()
    inner.CodeValue = "C-111A1"
    item.RadionuclideCodeSequence = [inner]
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3")
    dataset.SOPClassUID, dataset.Modality, dataset.PatientWeight = CTImageStorage, "CT", weight
    dataset.ImagePositionPatient = [1.0, -2.5, 3.0]
    dataset.Units = "BQML"
    dataset.RadiopharmaceuticalInformationSequence = [item]
    if is_undefined_length:
        for sequence in (dataset[TRACER], item["RadionuclideCodeSequence"]):
            sequence.is_undefined_length = True
        for one in (item, inner):
            one.is_undefined_length_sequence_item = True
    dataset.add_new(0x7FE00010, "OW", b"\0" * 100)
    file = BytesIO()
    is_little = syntax != ExplicitVRBigEndian
    dataset.save_as(
        file,
        enforce_file_format=True,
        little_endian=is_little,
        implicit_vr=syntax == ImplicitVRLittleEndian,
    )
    return file.getvalue()


def scan(data: bytes, **options: Any) -> dict[int, bytes] | None:
    return scan_elements(data, WANTED, is_whole_file=options.get("is_whole_file", True))


@pytest.mark.parametrize("is_undefined_length", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_behind_sequences_are_found(syntax: str, is_undefined_length: bool) -> None:
    found = scan(encoded(syntax, is_undefined_length=is_undefined_length))
    assert found is not None
    assert found[MODALITY] == b"CT"
    assert found[POSITION].split(b"\\") == [b"1.0", b"-2.5", b"3.0"]
    assert found[UNITS] == b"BQML"
    assert b"C-111A1" in found[TRACER]


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_unusual_encodings_are_left_to_pydicom(syntax: str) -> None:
    assert scan(encoded(syntax)) is None


def test_fragments_of_compressed_pixels_lie_behind_the_scan() -> None:
    head, _, _ = encoded(ExplicitVRLittleEndian).partition(b"\xe0\x7f\x10\x00")
    fragments = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0"
    assert scan(head + fragments, is_whole_file=False) == scan(encoded(ExplicitVRLittleEndian))
    in_header = b"\x54\x00\x00\x10OB" + fragments[6:]
    assert scan(head + in_header + fragments) is None


def test_bytes_without_the_prefix_are_not_understood() -> None:
    assert scan(b"") is None
    assert scan(encoded(ExplicitVRLittleEndian)[132:]) is None


@given(st.integers(min_value=0, max_value=699))
def test_cut_file_gives_values_that_are_true_or_none(length: int) -> None:
    data = encoded(ExplicitVRLittleEndian)
    whole, cut = scan(data), scan(data[:length], is_whole_file=False)
    assert whole is not None
    assert cut is None or cut == whole


@given(st.integers(min_value=132, max_value=600), st.integers(min_value=0, max_value=255))
def test_changed_byte_never_raises(position: int, value: int) -> None:
    data = bytearray(encoded(ExplicitVRLittleEndian, is_undefined_length=True))
    data[position % len(data)] = value
    scan(bytes(data))


@pytest.mark.shared
def test_real_headers_give_what_pydicom_gives() -> None:
    num_understood = 0
    for path in sorted(Path(shared_data()).rglob("*.dcm")):
        data = path.read_bytes()[:65_536]
        found = scan(data, is_whole_file=False)
        if found is None:
            continue
        num_understood += 1
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        for keyword, tag in (("Modality", MODALITY), ("Units", UNITS)):
            assert found.get(tag, b"").decode().strip("\0 ") == str(dataset.get(keyword) or "")
        position = found.get(POSITION, b"").split(b"\\") if POSITION in found else []
        assert [float(v) for v in position] == list(dataset.get("ImagePositionPatient") or [])
    assert num_understood > 250
