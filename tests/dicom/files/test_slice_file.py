"""Headers that share elements are those that pydicom reads; damaged files are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from petct_ext.dicom.files import slice_file
from petct_ext.dicom.files.headers import FileHeader, HeaderReader
from petct_ext.dicom.files.slice_file import SliceReader, decimal_numbers
from petct_ext.dicom.series.reader import read_series
from petct_ext.errors import InputDataError
from tests.dicom.slices import write_slices


def nested(path: Path, *, undefined: bool) -> pydicom.FileDataset:
    """A slice with sequences in sequences, of defined or undefined length."""
    dataset = pydicom.dcmread(path)
    code = pydicom.Dataset()
    code.CodeMeaning, code.CodeValue = "FDG", "C-B1031"
    item = dataset.RadiopharmaceuticalInformationSequence[0]
    item.RadiopharmaceuticalCodeSequence = [code, code]
    dataset.add_new(0x00091001, "OB", b"\xfe\xff\xdd\xe0")  # private bytes that look like an end
    for sequence in (item["RadiopharmaceuticalCodeSequence"], dataset[0x00540016]):
        sequence.is_undefined_length = undefined
        for inner in sequence.value:
            inner.is_undefined_length_sequence_item = undefined
    return dataset


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("implicit", [False, True])
def test_header_is_that_of_pydicom(tmp_path: Path, implicit: bool, undefined: bool) -> None:
    files = write_slices(tmp_path, modality="PT")
    reader = SliceReader()
    for path in files:
        dataset = nested(path, undefined=undefined)
        if implicit:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        dataset.save_as(path, implicit_vr=implicit, little_endian=True)
        found, expected = reader.read(path), pydicom.dcmread(path)
        assert found.pixels_at is not None
        assert found.read_bytes(0, found.pixels_at[1]) == expected.PixelData
        del expected.PixelData
        assert found.header == expected
        assert found.header.file_meta.TransferSyntaxUID == expected.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_uncompressed_syntaxes_give_the_same_volume(tmp_path: Path, syntax: UID) -> None:
    values = np.random.default_rng(0).integers(-900, 900, (4, 4, 5))
    files = write_slices(tmp_path, values=values)
    expected = read_series(files).array
    for path in files:
        dataset = pydicom.dcmread(path)
        is_little = syntax != ExplicitVRBigEndian
        if not is_little:
            dataset.PixelData = dataset.pixel_array.astype(">i2").tobytes()
        fresh = pydicom.Dataset({element.tag: element for element in dataset})
        fresh.file_meta = dataset.file_meta
        fresh.file_meta.TransferSyntaxUID = syntax
        fresh.save_as(path, implicit_vr=False, little_endian=is_little, enforce_file_format=True)
    np.testing.assert_array_equal(read_series(files).array, expected)


def test_common_elements_are_shared_and_own_ones_are_not(tmp_path: Path) -> None:
    reader = SliceReader()
    one, other = (reader.read(path).header for path in write_slices(tmp_path)[:2])
    assert one.get_item("PatientID") is other.get_item("PatientID")
    assert decimal_numbers(one, "ImagePositionPatient") == (-10.0, -20.0, 0.0)
    assert decimal_numbers(other, "ImagePositionPatient") == (-10.0, -20.0, 3.0)


def test_same_bytes_in_another_byte_order_are_not_shared(tmp_path: Path) -> None:
    reader, found = SliceReader(), []
    for syntax, value in ((ExplicitVRLittleEndian, 0x0401), (ExplicitVRBigEndian, 0x0104)):
        path = write_slices(tmp_path, LargestImagePixelValue=value)[0]
        dataset = pydicom.dcmread(path)
        fresh = pydicom.Dataset({element.tag: element for element in dataset})
        fresh.file_meta = dataset.file_meta
        fresh.file_meta.TransferSyntaxUID = syntax
        is_little = syntax == ExplicitVRLittleEndian
        fresh.save_as(path, implicit_vr=False, little_endian=is_little, enforce_file_format=True)
        found.append(reader.read(path).header.LargestImagePixelValue)
    assert found == [0x0401, 0x0104]


@pytest.mark.parametrize("keep", [0, 100, 131, 140, 300, 700])
def test_file_cut_anywhere_is_an_error_in_one_line(tmp_path: Path, keep: int) -> None:
    path = write_slices(tmp_path, modality="PT")[0]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputDataError, match=r"slice file 1_000\.dcm: it") as caught:
        read_series([path])
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize("undefined", [False, True])
def test_no_cut_of_a_file_is_read_silently(tmp_path: Path, undefined: bool) -> None:
    path = write_slices(tmp_path, modality="PT")[0]
    nested(path, undefined=undefined).save_as(path)
    content = path.read_bytes()
    for keep in range(0, len(content), 3):
        path.write_bytes(content[:keep])
        with pytest.raises(InputDataError, match="slice file"):
            read_series([path])


def test_folder_and_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"slice file gone\.dcm: it cannot be read \(No such"):
        read_series([tmp_path / "gone.dcm"])
    with pytest.raises(InputDataError, match="Is a directory"):
        read_series([tmp_path])


def test_number_that_is_none_is_quoted(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b"-10.0\\-20.0\\0.0", b"-10.0\\-20,0\\0.0"))
    with pytest.raises(InputDataError, match=r"ImagePositionPatient \(0020,0032\) is .*no number"):
        read_series([path])


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    path = write_slices(tmp_path, modality="PT")[0]
    content = path.read_bytes()
    head = b"\x54\x00\x16\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    at = content.index(b"\x54\x00\x16\x00SQ")
    path.write_bytes(content[:at] + head * 3000 + content[at:])
    with pytest.raises(InputDataError, match="nested too deeply to be read"):
        read_series([path])


@pytest.mark.parametrize("implicit", [True, False])
def test_file_without_preamble_and_meta_is_read_with_its_pixels(
    tmp_path: Path, implicit: bool
) -> None:
    values = np.random.default_rng(0).integers(-900, 900, (4, 4, 5))
    files = write_slices(tmp_path, values=values)
    expected = read_series(files).array
    for path in files:
        dataset = pydicom.dcmread(path)
        bare = pydicom.Dataset({element.tag: element for element in dataset})
        bare.save_as(path, implicit_vr=implicit, little_endian=True)
        assert path.read_bytes()[:2] == b"\x08\x00"
        assert isinstance(HeaderReader(tmp_path).read(path.name), FileHeader)
    np.testing.assert_array_equal(read_series(files).array, expected)


def test_text_file_is_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "notes.dcm"
    path.write_text("not DICOM at all, however long the text may be. " * 20)
    with pytest.raises(InputDataError, match=r"InvalidDicomError.*no DICOM"):
        read_series([path])


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.3.46.670589.33.1.4.1"])
def test_private_transfer_syntax_is_named(tmp_path: Path, syntax: str) -> None:
    path = write_slices(tmp_path)[0]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
    with pytest.raises(InputDataError, match=rf"\(0002,0010\) {syntax} is private"):
        read_series([path])


def test_long_elements_of_the_header_are_kept_and_pixels_are_not(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-900, 900, (4, 200, 300))
    path = write_slices(tmp_path, values=values, Rows=200, Columns=300)[0]
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x00091001, "OB", bytes(range(256)) * 100)
    dataset.save_as(path)
    file = SliceReader().read(path)
    assert file.header[0x00091001].value == bytes(range(256)) * 100
    assert "PixelData" not in file.header
    assert file.pixels_at is not None
    assert file.read_bytes(0, file.pixels_at[1]) == dataset.PixelData
    np.testing.assert_array_equal(read_series([path]).array[:, :, 0].T, values[0])


def test_fault_of_our_own_is_not_called_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def library(*_: object, **__: object) -> None:
        raise KeyError("theirs")

    path = write_slices(tmp_path)[0]
    with monkeypatch.context() as patch:
        patch.setattr(slice_file, "_PREFIX", None)  # so that a line of ours fails
        with pytest.raises(AttributeError):
            read_series([path])
    monkeypatch.setattr(pydicom, "dcmread", library)
    with pytest.raises(InputDataError, match=r"cannot be read \(KeyError\); it may be cut"):
        read_series([path])
