"""Headers: what is kept, what never leaves the reader, and what damaged files give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from petct_ext.dicom.files.headers import NOT_DICOM, FileHeader, HeaderReader, UnreadFile
from tests.dicom.slices import write_slices


def read(path: Path) -> FileHeader:
    header = HeaderReader(path.parent).read(path.name)
    assert isinstance(header, FileHeader)
    return header


def reason(path: Path) -> str:
    header = HeaderReader(path.parent).read(path.name)
    assert isinstance(header, UnreadFile)
    return header.reason


def item(**elements: Any) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def write_enhanced(path: Path, heights_mm: list[float], **elements: Any) -> Path:
    """Writes an enhanced PET with one frame per height; functional groups as scanners do."""
    template = write_slices(path.parent / "template", modality="PT", heights_mm=[0.0])[0]
    dataset = pydicom.dcmread(template)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    del dataset.CorrectedImage
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedPETImageStorage
    dataset.NumberOfFrames = len(heights_mm)
    dataset.AttenuationCorrected = "YES"
    measures = item(PixelSpacing=[4.0, 4.0], SliceThickness=3.0)
    direction = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[direction])]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, height])],
                FrameContentSequence=[item(FrameAcquisitionDateTime="20200102110500")],
            )
            for height in heights_mm
        ]
    )
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    template.unlink()
    dataset.save_as(path)
    return path


def test_values_are_text_and_numbers_on_request(tmp_path: Path) -> None:
    header = read(write_slices(tmp_path, modality="PT")[1])
    assert header.text("Modality") == "PT"
    assert header.text("ImageType") == "ORIGINAL\\PRIMARY\\AXIAL"
    assert header.number("PatientWeight") == 70.0
    assert header.vector("PixelSpacing", 2) == (2.0, 4.0)
    assert header.positions == ((-10.0, -20.0, 3.0),)
    assert header.acquired == "20200102 110000"
    assert header.number("InjectedDoseBq") == 350e6
    assert header.number("SeriesNumber") is None


def test_recognized_slice_equals_one_that_pydicom_read(tmp_path: Path) -> None:
    paths = write_slices(tmp_path, modality="PT", heights_mm=(0.0, 3.5, 7.0))
    reader = HeaderReader(tmp_path)
    quick = [reader.read(path.name) for path in paths]
    assert quick == [read(path) for path in paths]
    assert isinstance(quick[0], FileHeader)
    assert isinstance(quick[2], FileHeader)
    assert quick[0].values is quick[2].values


def test_no_name_and_no_birth_date_leaves_the_reader(tmp_path: Path) -> None:
    path = write_slices(tmp_path, StudyDescription="PET/CT Doe", SeriesDescription="WB 19500102")[0]
    header = read(path)
    assert "doe" not in repr(header).lower()
    assert "19500102" not in repr(header)
    assert header.text("StudyDescription") == "[removed] pet ct"


@pytest.mark.parametrize(
    ("elements", "age"),
    [
        ({}, "061Y"),
        ({"PatientAge": ""}, "069Y"),  # born 2 January 1950, scanned 2 January 2020: 70 that day
        ({"PatientAge": None, "PatientBirthDate": ""}, ""),
        ({"PatientAge": None, "PatientBirthDate": "30000101"}, ""),
    ],
)
def test_missing_age_is_computed_from_the_birth_date(
    tmp_path: Path, elements: dict[str, Any], age: str
) -> None:
    day = {"StudyDate": "20200101"}
    assert read(write_slices(tmp_path, **(day | elements))[0]).text("PatientAge") == age


def test_enhanced_file_gives_all_its_positions_and_shared_values(tmp_path: Path) -> None:
    header = read(write_enhanced(tmp_path / "pet.dcm", [0.0, 3.0, 6.0]))
    assert [p[2] for p in header.positions] == [0.0, 3.0, 6.0]
    assert header.vector("PixelSpacing", 2) == (4.0, 4.0)
    assert header.vector("ImageOrientationPatient", 6) == (1, 0, 0, 0, 1, 0)
    assert header.text("AttenuationCorrected") == "YES"
    assert header.text("NumberOfFrames") == "3"


def test_enhanced_file_with_two_directions_has_no_orientation(tmp_path: Path) -> None:
    frames = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, 0.0])],
            PlaneOrientationSequence=[item(ImageOrientationPatient=direction)],
        )
        for direction in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1])
    ]
    shared = item(PixelMeasuresSequence=[item(PixelSpacing=[4.0, 4.0])])
    path = write_enhanced(
        tmp_path / "pet.dcm",
        [0.0],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )
    assert read(path).text("ImageOrientationPatient") == ""


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG" + b"\0" * 500, b"\0" * 200])
def test_other_files_are_not_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert reason(tmp_path / "file") == NOT_DICOM


def test_file_without_preamble_is_read(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[0]
    dataset = pydicom.dcmread(path)
    bare = tmp_path / "bare"
    dataset.save_as(bare, enforce_file_format=False)
    bare.write_bytes(bare.read_bytes()[132:])
    assert read(bare).instance == read(path).instance


def test_list_of_files_is_told_apart(tmp_path: Path) -> None:
    dataset = item(SOPClassUID=MediaStorageDirectoryStorage)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    assert "DICOMDIR" in reason(tmp_path / "DICOMDIR")


def test_cut_header_is_named_and_not_guessed(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:420])
    assert reason(path) != NOT_DICOM


def test_deep_nesting_does_not_stop_the_reader(tmp_path: Path) -> None:
    """Sequences of undefined length are read recursively by pydicom 3.0.2."""
    path = write_slices(tmp_path)[0]
    content = path.read_bytes()
    opening = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    at = content.index(b"\x10\x00\x10\x00PN")
    path.write_bytes(content[:at] + opening * 5000)
    assert "damaged header" in reason(path) or "no Series" in reason(path)


def test_unreadable_file_may_be_tried_again(tmp_path: Path) -> None:
    header = HeaderReader(tmp_path).read("absent")
    assert header == UnreadFile("absent", "No such file or directory", is_lasting=False)
