"""A MetaImage or NRRD volume lies where the same NIfTI lies, or is refused with the reason."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from petct_ext.dicom.volumes.itk_headers import read_image_header
from petct_ext.dicom.volumes.itk_images import itk_grid, itk_image_files, read_itk_image
from petct_ext.errors import InputDataError
from tests.dicom.nifti_files import ct_values

# column axes and origin in LPS+ mm, as both formats write them
DIRECTIONS = "0 -1 0 1 0 0 0 0 1"
RAS = np.array([[0, -3.0, 0, -10], [2.0, 0, 0, -20], [0, 0, 4.0, 30], [0, 0, 0, 1]])
META = f"""ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = {DIRECTIONS}
Offset = 10 20 30
CenterOfRotation = 0 0 0
AnatomicalOrientation = RAI
ElementSpacing = 2 3 4
DimSize = 9 8 7
ElementType = MET_FLOAT
ElementDataFile = LOCAL
"""
NRRD = """NRRD0004
type: float
dimension: 3
space: left-posterior-superior
sizes: 9 8 7
space directions: (0,-2,0) (3,0,0) (0,0,4)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (10,20,30)

"""
needs_itk = pytest.mark.skipif(
    find_spec("itk") is None,
    reason="ITK is not installed (pip install 'petct_ext[itk]')",
)


def voxels(values: np.ndarray | None = None) -> bytes:
    given = ct_values() if values is None else values
    return given.astype("<f4").tobytes(order="F")


def write_meta(path: Path, text: str = META, content: bytes | None = None) -> Path:
    path.write_bytes(text.encode() + (voxels() if content is None else content))
    return path


def write_nrrd(path: Path, text: str = NRRD, content: bytes | None = None) -> Path:
    return write_meta(path, text, content)


def write_detached(path: Path) -> Path:
    (path.parent / "voxels.raw").write_bytes(voxels())
    text = META.replace("LOCAL", "voxels.raw")
    if path.suffix == ".nhdr":
        text = NRRD.strip() + "\ndata file: voxels.raw\n"
    path.write_text(text)
    return path


def write_packed(path: Path) -> Path:
    return write_nrrd(path, NRRD.replace("raw", "gzip"), gzip.compress(voxels()))


@needs_itk
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("CT.mha", write_meta),
        ("CT.nrrd", write_nrrd),
        ("CT.mhd", write_detached),
        ("CT.nhdr", write_detached),
        ("CT.nrrd", write_packed),
    ],
)
def test_volume_is_read_with_its_affine(
    tmp_path: Path, name: str, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path / name)
    volume = read_itk_image(path, "HU")
    np.testing.assert_array_equal(volume.array, ct_values())
    np.testing.assert_allclose(volume.affine, RAS, atol=1e-6)
    np.testing.assert_allclose(itk_grid(path).affine, RAS, atol=1e-6)
    assert volume.array.dtype == np.float32


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", [-1, -1, 1]), ("LPS", [1, 1, 1]), ("LAS", [1, -1, 1])],
)
def test_space_of_an_nrrd_turns_its_axes(tmp_path: Path, space: str, signs: list[int]) -> None:
    path = write_nrrd(tmp_path / "CT.nrrd", NRRD.replace("left-posterior-superior", space))
    expected = np.diag([*signs, 1]) @ RAS
    np.testing.assert_allclose(read_image_header(path).grid.affine, expected, atol=1e-9)


def test_voxels_apart_belong_to_the_files_of_the_volume(tmp_path: Path) -> None:
    names = [p.name for p in itk_image_files(write_detached(tmp_path / "CT.mhd"))]
    assert names == ["CT.mhd", "voxels.raw"]
    assert itk_image_files(write_meta(tmp_path / "CT.mha")) == [tmp_path / "CT.mha"]


HEADER_FAULTS = [
    (META, "TransformMatrix = " + DIRECTIONS, "", "no TransformMatrix"),
    (META, "Offset = 10 20 30", "", "no Offset"),
    (META, DIRECTIONS, "0 -1 0 0 -1 0 0 0 1", "singular affine"),
    (META, "Spacing = 2 3 4", "Spacing = 2000 3000 4000", "may not be in mm"),
    (META, "DimSize = 9 8 7", "DimSize = 9 8", r"shape \(9, 8\)"),
    (META, "DimSize = 9 8 7", "DimSize = 9 8 x", "not numbers"),
    (META, "DimSize = 9 8 7", "DimSize = 9 8 9", "cut off"),
    (META, "ElementType", "ElementNumberOfChannels = 3\nElementType", "several values"),
    (META, "ElementType", "ElementToIntensityFunctionSlope = 2\nElementType", "ITK ignores"),
    (META, "LOCAL", "../elsewhere.raw", "another folder"),
    (META, "LOCAL", "gone.raw", "gone.raw, which is not beside it"),
    (NRRD, "left-posterior-superior", "scanner-xyz", "no anatomical orientation"),
    (NRRD, "space: left-posterior-superior\n", "", "space is missing"),
    (NRRD, "encoding", 'space units: "m" "m" "m"\nencoding', "space units that are not mm"),
    (NRRD, "space origin: (10,20,30)\n", "", "no space origin"),
    (NRRD, "space directions: (0,-2,0) (3,0,0)", "space directions: none (3,0,0)", "not numbers"),
    (NRRD, "sizes: 9 8 7", "sizes: 9 8 7 3", r"shape \(9, 8, 7, 3\)"),
    (NRRD, "sizes: 9 8 7", "sizes: 9 8 8", "cut off"),
    (NRRD, "type: float", "type: block", "type block"),
    (NRRD, "NRRD0004", "JPEG", "no valid NRRD header"),
]


@pytest.mark.parametrize(("text", "old", "new", "message"), HEADER_FAULTS)
def test_unusable_header_is_refused_without_itk(
    tmp_path: Path, text: str, old: str, new: str, message: str
) -> None:
    assert old in text
    path = tmp_path / ("CT.mha" if text is META else "CT.nrrd")
    with pytest.raises(InputDataError, match=message) as refusal:
        read_image_header(write_meta(path, text.replace(old, new)))
    assert str(tmp_path) not in str(refusal.value)


@needs_itk
@pytest.mark.parametrize("name", ["CT.mha", "CT.nrrd"])
@pytest.mark.parametrize("fault", ["cut", "damaged"])
def test_packed_voxels_that_are_damaged_are_refused(tmp_path: Path, name: str, fault: str) -> None:
    """ITK itself returns garbage for a MetaImage."""
    noise = ct_values() + np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
    content = bytearray(gzip.compress(voxels(noise)))
    if fault == "cut":
        content = content[:-200]
    else:
        content[len(content) // 2] ^= 0xFF
    text = META.replace("CompressedData = False", "CompressedData = True")
    if name == "CT.nrrd":
        text = NRRD.replace("raw", "gzip")
    path = write_meta(tmp_path / name, text, bytes(content))
    with pytest.raises(InputDataError, match="cut off"):
        read_itk_image(path, "HU")


@needs_itk
def test_values_are_judged_as_those_of_a_nifti(tmp_path: Path) -> None:
    path = write_meta(tmp_path / "CT.mha", content=voxels(ct_values() + 1024))
    with pytest.raises(InputDataError, match=r"^CT\.mha, said to be HU, has no value below 0"):
        read_itk_image(path, "HU")


def test_want_of_itk_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petct_ext.dicom.volumes.itk_images.find_spec", lambda name: None)
    with pytest.raises(InputDataError, match=r"pip install 'petct_ext\[itk\]'"):
        itk_grid(write_meta(tmp_path / "CT.mha"))


def test_neither_nifti_nor_dicom_imports_itk() -> None:
    code = (
        "import sys, petct_ext.cohort.nifti_index, petct_ext.cohort.preparation;"
        "sys.exit('itk' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
