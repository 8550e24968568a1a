"""Stored values become HU and activity, or are refused where their meaning is not certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from petct_ext.dicom.series.reader import read_series
from petct_ext.errors import InputDataError
from tests.conftest import SHARED
from tests.dicom.slices import write_slices


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_slices_have_the_same_values(tmp_path: Path, syntax: str) -> None:
    values = np.random.default_rng(0).integers(-900, 900, (4, 40, 50))
    files = write_slices(tmp_path, values=values, Rows=40, Columns=50)
    expected = read_series(files).array
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
    volume = read_series(files)
    np.testing.assert_array_equal(volume.array, expected)
    assert all("PixelData" not in dataset for dataset in volume.datasets)


@pytest.mark.shared
def test_eight_transfer_syntaxes_decode_to_identical_values() -> None:
    folder = SHARED / "data/ct_transfer_syntaxes"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    volumes = [read_series([path]).array for path in sorted(folder.glob("CTImage*"))]
    assert len(volumes) == 7  # and the licence: the eighth file is the first one's copy
    for volume in volumes[1:]:
        np.testing.assert_array_equal(volume, volumes[0])


@pytest.mark.shared
def test_real_jpeg_2000_series_is_read() -> None:
    folder = SHARED / "data/ct_siemens_mct_j2k"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    volume = read_series(sorted(folder.glob("CT.*"))[:3])
    assert volume.array.min() == -1024.0
    assert 500 < volume.array.max() < 3071
    assert volume.affine[2, 2] == 2.0


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PhotometricInterpretation": "RGB"}, "is RGB with 1 sample"),
        ({"SamplesPerPixel": 3}, "with 3 sample"),
        ({"BitsStored": 8, "HighBit": 7}, "run from 300 to 300, beyond Bits Stored"),
        ({"BitsAllocated": 12}, r"Bits Allocated \(0028,0100\) is 12"),
        ({"RescaleSlope": None}, r"RescaleSlope \(0028,1053\) has 0 values"),
        ({"RescaleIntercept": None}, r"RescaleIntercept \(0028,1052\) has 0 values"),
        ({"RescaleSlope": 0.0}, "Rescale Slope is 0"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "Modality LUT Sequence"),
        ({"NumberOfFrames": 2}, "80 bytes; the file is cut"),
        ({"Rows": 0}, "of 0 x 5 pixels"),
    ],
)
def test_image_of_uncertain_meaning_is_refused(
    tmp_path: Path, elements: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        read_series(write_slices(tmp_path, values=np.full((4, 4, 5), 300), **elements))


def test_lossy_pet_is_refused_and_lossy_ct_is_marked(tmp_path: Path) -> None:
    pet = write_slices(tmp_path / "pet", modality="PT", LossyImageCompression="01")
    with pytest.raises(InputDataError, match=r"\(0028,2110\): the PET was compressed with loss"):
        read_series(pet)
    ct = read_series(write_slices(tmp_path / "ct", LossyImageCompression="01"))
    assert ct.warnings == ("the CT was compressed with loss (0028,2110). (4 slices)",)


def test_unknown_transfer_syntax_is_named(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[0]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(InputDataError, match=r"1\.2\.840\.10008\.1\.2\.4\.50 .* not supported"):
        read_series([path])


def test_damaged_code_stream_is_named(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-900, 900, (4, 40, 50))
    path = write_slices(tmp_path, values=values, Rows=40, Columns=50)[0]
    dataset = pydicom.dcmread(path)
    dataset.compress(JPEG2000Lossless)
    dataset.PixelData = dataset.PixelData[:40] + bytes(60)
    dataset.save_as(path)
    with pytest.raises(InputDataError, match=r"slice file 1_000\.dcm: .*(decoded|read)"):
        read_series([path])


def test_unsigned_values_are_not_taken_for_signed(tmp_path: Path) -> None:
    values = np.full((4, 4, 5), -1)
    files = write_slices(tmp_path, modality="PT", values=values, PixelRepresentation=0)
    assert read_series(files).array.max() == 65535.0


def test_padding_outside_the_circle_is_air(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 5))
    values[:, [0, 0, -1, -1], [0, -1, 0, -1]] = 900
    files = write_slices(tmp_path / "a", values=values, PixelPaddingValue=900)
    volume = read_series(files)
    assert volume.array[0, 0, 0] == -1024.0
    assert volume.array[2, 2, 0] == 0.0
    assert volume.warnings == ()


def test_padding_value_within_the_body_is_kept_and_marked(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 5))
    values[:, 2, 2] = 40
    volume = read_series(write_slices(tmp_path, values=values, PixelPaddingValue=40))
    assert volume.array[2, 2, 0] == 40.0
    assert "padding (0028,0120) of 40 lies within the picture" in volume.warnings[0]


def test_values_below_air_become_air(tmp_path: Path) -> None:
    volume = read_series(write_slices(tmp_path, values=np.full((4, 4, 5), -2000)))
    assert set(volume.array.ravel().tolist()) == {-1024.0}
