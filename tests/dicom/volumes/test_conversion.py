"""One exam to two volumes and a record."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from petct_ext.dicom.series.reader import SeriesVolume, read_series
from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.volumes.conversion import convert_exam
from petct_ext.dicom.volumes.exam_reading import GridChoice, Preparation, read_exam
from petct_ext.dicom.volumes.nifti import write_nifti
from petct_ext.dicom.volumes.nifti_pairs import volume_file_grid
from petct_ext.dicom.volumes.pet_suv import read_pet_suv
from petct_ext.dicom.volumes.resampling import Grid, grid_to_series
from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json
from tests.dicom.exams import write_exam

HOW = Preparation(GridChoice(in_plane=8, field_of_view_mm=40.0))
FACTOR = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))  # 70 kg, 350 MBq an hour before


def test_record_holds_what_the_volumes_were_made_from(tmp_path: Path) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2")
    record = convert_exam(pet, ct, tmp_path / "E1", how=HOW)
    assert record == read_json(tmp_path / "E1" / "exam.json")
    assert record["pet_units"] == "SUVbw"
    assert record["suv_bw_factor"] == pytest.approx(FACTOR, rel=1e-6)
    assert record["parameters"]["in_plane"] == 8
    assert record["source"]["files"] == 40
    for name, facts in record["volumes"].items():
        content = (tmp_path / "E1" / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            facts["bytes"],
            facts["sha256"],
        )


def test_audit_names_every_element_and_no_identity(tmp_path: Path) -> None:
    record = convert_exam(*write_exam(tmp_path / "dicom", "1.2"), tmp_path / "E1", how=HOW)
    used = {line.get("keyword") for line in record["suv_audit"]}
    assert {"PatientWeight", "RadionuclideTotalDose", "RadionuclideHalfLife", "Units"} <= used
    text = (tmp_path / "E1" / "exam.json").read_text()
    for secret in ("SECRET", "Doe", "1950", "20200102", "2020-01-02", "dicom/"):
        assert secret not in text


def test_map_on_the_volume_goes_back_to_the_ct(tmp_path: Path) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2")
    record = convert_exam(pet, ct, tmp_path / "E1", how=HOW)
    image = nib.Nifti1Image.from_filename(tmp_path / "E1" / "ct.nii")
    width, depth, height = image.shape
    original = record["original_grids"]["ct"]
    x, y, z = original["shape"]
    back = grid_to_series(
        np.asarray(image.dataobj, dtype=np.float32),
        Grid((width, depth, height), image.affine),
        series=Grid((x, y, z), np.array(original["affine"])),
    )
    np.testing.assert_allclose(back[2, 2], read_series(ct).array[2, 2], atol=1.0)


def test_pet_without_weight_keeps_its_units_if_suv_is_optional(tmp_path: Path) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2", PatientWeight=None)
    with pytest.raises(InputDataError, match=r"\(0010,1030\)"):
        convert_exam(pet, ct, tmp_path / "E1", how=HOW)
    assert not (tmp_path / "E1" / "exam.json").exists()
    how = Preparation(HOW.grid, "optional")
    record = convert_exam(pet, ct, tmp_path / "E1", how=how)
    assert (record["pet_units"], record["suv_bw_factor"]) == ("BQML", None)
    assert "(0010,1030)" in record["no_suv_because"]
    image = nib.Nifti1Image.from_filename(tmp_path / "E1" / "pet.nii")
    assert image.get_fdata().max() == pytest.approx(1900.0)


def test_missing_weight_is_supplied_and_told_in_the_audit(tmp_path: Path) -> None:
    pet, _ = write_exam(tmp_path / "dicom", "1.2", PatientWeight=0.0)
    _, suv = read_pet_suv(pet, overrides=SuvOverrides(weight_kg=70.0))
    assert suv.factors[0] == pytest.approx(FACTOR, rel=1e-6)
    line = suv.audit[0]
    assert (line["override"], line["value"], line["instead_of"]) == ("weight_kg", 70.0, "0.0")


def test_all_overrides_reach_the_factor(tmp_path: Path) -> None:
    pet, _ = write_exam(
        tmp_path / "dicom", "1.2", RadiopharmaceuticalInformationSequence=[], PatientWeight=None
    )
    overrides = SuvOverrides(70.0, 350e6, 6586.2, "10:00:00")
    _, suv = read_pet_suv(pet, overrides=overrides)
    assert suv.factors[0] == pytest.approx(FACTOR, rel=1e-6)
    assert len([line for line in suv.audit if "override" in line]) == 4


def test_supplied_factor_replaces_that_of_the_header_and_says_so(tmp_path: Path) -> None:
    pet, _ = write_exam(tmp_path / "dicom", "1.2")
    volume, suv = read_pet_suv(pet, overrides=SuvOverrides(suv_bw_factor=0.001))
    assert volume.array.max() == pytest.approx(1.9)
    (line,) = suv.audit
    assert (line["override"], line["value"]) == ("suv_bw_factor", 0.001)
    assert line["instead_of"] == pytest.approx(FACTOR, rel=1e-6)
    assert "0.001 was supplied (--suv-overrides), not computed" in suv.warnings[0]


def test_supplied_factor_serves_a_series_that_has_none(tmp_path: Path) -> None:
    pet, _ = write_exam(tmp_path / "dicom", "1.2", Units="CNTS")
    _, suv = read_pet_suv(pet, overrides=SuvOverrides(suv_bw_factor=0.5))
    assert suv.factors[0] == 0.5
    assert suv.audit[0]["instead_of"].startswith("none: Units (0054,1001) is 'CNTS' without")


def test_implausible_header_is_held_back_until_a_person_accepts_it(tmp_path: Path) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2", PatientWeight=9.0, slopes=[10.0] * 20)
    with pytest.raises(InputDataError, match=r"\(0010,1030\) 9 kg .*--accept .*body_mass_index"):
        convert_exam(pet, ct, tmp_path / "E1", how=HOW)
    how = Preparation(HOW.grid, accepted=("body_mass_index=3.114", "dose_per_kg=38.89"))
    record = convert_exam(pet, ct, tmp_path / "E1", how=how)
    assert any("body mass index of 3.1" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_kg": 0.0}, "weight_kg is 0; it must be positive"),
        ({"injected_dose_bq": float("inf")}, "must be positive"),
        ({"injection_time": "9 am"}, "must be HH:MM:SS"),
    ],
)
def test_impossible_overrides_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        SuvOverrides(**values)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"values": np.zeros((20, 4, 5))}, r"PET is constant \(0\)"),
        ({"slopes": [1e-6] * 20}, r"largest SUV is 5\.6e-07, outside 0\.1 to 2000"),
        ({"slopes": [1e7] * 20}, r"largest SUV is 5\.6e\+06, outside"),
        ({"slopes": [-1.0] * 20}, "no activity"),
    ],
)
def test_implausible_volumes_are_refused_and_leave_nothing(
    tmp_path: Path, elements: dict[str, Any], message: str
) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2", **elements)
    with pytest.raises(InputDataError, match=message):
        convert_exam(pet, ct, tmp_path / "E1", how=HOW)
    assert not list(tmp_path.glob("E1/*"))


def test_nifti_pair_gives_the_volumes_of_the_same_exam_in_dicom(tmp_path: Path) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2", slopes=[10.0] * 20)
    files = []
    for name, series in (("pet.nii", read_pet_suv(pet)[0]), ("ct.nii.gz", read_series(ct))):
        files.append(write_nifti(tmp_path / name, series.array, series.affine))
    facts = write_json(tmp_path / "facts.json", {"pet_units": "SUVbw"})
    expected = read_exam(pet, ct, how=HOW)
    found = read_exam([files[0], facts], [files[1]], how=HOW)
    np.testing.assert_allclose(found.pet, expected.pet, rtol=1e-6)
    np.testing.assert_allclose(found.ct, expected.ct)
    assert found.facts["pet_units"] == "SUVbw"


@pytest.mark.skipif(find_spec("itk") is None, reason="ITK is not installed (petct_ext[itk])")
@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
def test_itk_pair_gives_the_volumes_of_the_same_exam_in_dicom(tmp_path: Path, suffix: str) -> None:
    pet, ct = write_exam(tmp_path / "dicom", "1.2", slopes=[10.0] * 20)
    volumes = {"pet": read_pet_suv(pet)[0], "ct": read_series(ct)}
    files = {name: write_by_itk(tmp_path / f"{name}{suffix}", v) for name, v in volumes.items()}
    facts = write_json(tmp_path / "facts.json", {"pet_units": "SUVbw"})
    for name, path in files.items():
        grid = volume_file_grid(path)
        assert grid.shape == volumes[name].array.shape
        np.testing.assert_allclose(grid.affine, volumes[name].affine, atol=1e-4)
    expected = read_exam(pet, ct, how=HOW)
    found = read_exam([files["pet"], facts], [files["ct"]], how=HOW)
    np.testing.assert_allclose(found.pet, expected.pet, rtol=1e-6)
    np.testing.assert_allclose(found.ct, expected.ct, atol=1e-3)


def write_by_itk(path: Path, volume: SeriesVolume) -> Path:
    """Writes a volume as ITK does, packed unless its voxels stand apart."""
    import itk

    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = itk.image_from_array(np.ascontiguousarray(volume.array.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection(itk.matrix_from_array(lps[:3, :3] / spacing))
    itk.imwrite(image, str(path), compression=path.suffix in (".mha", ".nrrd"))
    return path


def test_nifti_pet_in_bqml_without_dose_keeps_its_units_if_suv_is_optional(tmp_path: Path) -> None:
    pet, ct = (read_series(files) for files in write_exam(tmp_path / "dicom", "1.2"))
    files = [write_nifti(tmp_path / "pet.nii", pet.array, pet.affine)]
    files.append(write_json(tmp_path / "facts.json", {"pet_units": "BQML"}))
    ct_file = write_nifti(tmp_path / "ct.nii", ct.array, ct.affine)
    exam = read_exam(files, [ct_file], how=Preparation(HOW.grid, "optional"))
    assert exam.facts["pet_units"] == "BQML"
    assert "injected_dose_bq" in exam.facts["no_suv_because"]
