"""Artificial exams as DICOM, read back with pydicom alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from petct_ext.errors import InputDataError
from petct_ext.synthetic.patients import Lesion
from petct_ext.synthetic.phantoms.anatomy import build_body
from petct_ext.synthetic.phantoms.dicom_encoding import (
    PhantomStudy,
    SeriesWriter,
    new_study,
    study_uid,
)
from petct_ext.synthetic.phantoms.dicom_files import (
    write_ct_series,
    write_localizer,
    write_pet_series,
    write_screenshot,
)
from petct_ext.synthetic.phantoms.images import VoxelGrid, draw_pet, place_lesions
from petct_ext.synthetic.phantoms.scanner import scan_grids
from tests.package_regions import ONTOLOGY
from tests.synthetic.phantom_patients import PHYSIOLOGY, phantom_patient

GRID = VoxelGrid((20, 16, 12), (10.0, 12.0, 30.0), (-95.0, -90.0, -300.0))


@pytest.fixture
def study() -> PhantomStudy:
    patient = phantom_patient()
    return new_study(patient, patient.exams[0], seed=0)


def ramp() -> np.ndarray:
    """A volume in which every voxel differs and every slice has another maximum."""
    return np.random.default_rng(0).random(GRID.shape, np.float32) * np.linspace(
        1, 20, GRID.shape[2], dtype=np.float32
    )


def read(folder: Path) -> list[Dataset]:
    slices = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    return sorted(slices, key=lambda s: float(s.ImagePositionPatient[2]))


def ras_volume(slices: list[Dataset]) -> np.ndarray:
    """Reads values as stored and turns rows and columns (LPS) into R and A."""
    planes = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    return np.stack(planes, axis=-1)[::-1, ::-1].transpose(1, 0, 2)


def suv_factor(first: Dataset) -> float:
    """SUVbw per Bq/mL, written out from the standard rather than taken from petct_ext."""
    item = first.RadiopharmaceuticalInformationSequence[0]
    scan = datetime.strptime(first.SeriesDate + first.SeriesTime, "%Y%m%d%H%M%S.%f")
    injected = datetime.strptime(str(item.RadiopharmaceuticalStartDateTime), "%Y%m%d%H%M%S.%f")
    elapsed_s = (scan - injected).total_seconds()
    left_bq = float(item.RadionuclideTotalDose) * 2 ** (
        -elapsed_s / float(item.RadionuclideHalfLife)
    )
    return float(first.PatientWeight) * 1000 / left_bq


def test_suv_comes_back_within_a_tenth_of_a_percent_of_each_slice(
    tmp_path: Path, study: PhantomStudy
) -> None:
    suv = ramp()
    slices = read(write_pet_series(tmp_path, suv, grid=GRID, study=study))
    back = ras_volume(slices) * suv_factor(slices[0])
    np.testing.assert_allclose(back, suv, rtol=1e-3, atol=1e-4 * float(suv.max()))


def test_every_slice_has_its_own_slope(tmp_path: Path, study: PhantomStudy) -> None:
    slices = read(write_pet_series(tmp_path, ramp(), grid=GRID, study=study))
    assert len({float(s.RescaleSlope) for s in slices}) == len(slices)


def test_pet_says_what_its_values_are(tmp_path: Path, study: PhantomStudy) -> None:
    first = read(write_pet_series(tmp_path, ramp(), grid=GRID, study=study))[0]
    assert first.Units == "BQML"
    assert first.DecayCorrection == "START"
    assert {"ATTN", "DECY"} <= set(first.CorrectedImage)
    assert list(first.ImageType)[:2] == ["ORIGINAL", "PRIMARY"]
    assert list(first.SeriesType) == ["WHOLE BODY", "IMAGE"]
    assert first.PatientAge == "061Y"
    assert first.PatientName == "PHANTOM^0003"
    item = first.RadiopharmaceuticalInformationSequence[0]
    assert float(item.RadionuclideTotalDose) == 350e6
    assert float(item.RadionuclideHalfLife) == 6586.2


def test_ct_comes_back_as_written(tmp_path: Path, study: PhantomStudy) -> None:
    hu = np.rint(np.random.default_rng(0).uniform(-1024, 1500, GRID.shape)).astype(np.float32)
    slices = read(write_ct_series(tmp_path, hu, grid=GRID, study=study))
    np.testing.assert_array_equal(ras_volume(slices), hu)
    assert float(slices[0].RescaleIntercept) == -1024


def test_ct_and_pet_share_study_and_frame_of_reference(tmp_path: Path, study: PhantomStudy) -> None:
    pet = read(write_pet_series(tmp_path, ramp(), grid=GRID, study=study))
    ct = read(write_ct_series(tmp_path, ramp(), grid=GRID, study=study))
    assert len({s.FrameOfReferenceUID for s in pet + ct}) == 1
    assert {s.StudyInstanceUID for s in pet + ct} == {study_uid(study.patient, study.exam, seed=0)}
    assert len({s.SeriesInstanceUID for s in pet + ct}) == 2
    assert len({s.SOPInstanceUID for s in pet + ct}) == 2 * GRID.shape[2]
    assert all(s.SOPInstanceUID.is_valid for s in pet + ct)


def test_positions_are_lps_of_the_first_pixel(tmp_path: Path, study: PhantomStudy) -> None:
    slices = read(write_ct_series(tmp_path, ramp(), grid=GRID, study=study))
    assert [float(v) for v in slices[0].ImagePositionPatient] == [-95.0, -90.0, -300.0]
    assert [float(v) for v in slices[0].ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    steps = np.diff([float(s.ImagePositionPatient[2]) for s in slices])
    np.testing.assert_allclose(steps, 30.0)
    assert [float(v) for v in slices[0].PixelSpacing] == [12.0, 10.0]


@pytest.mark.parametrize(
    ("region", "sign"), [("left_axillary_lymph_node", 1), ("right_axillary_lymph_node", -1)]
)
def test_lesion_lies_where_it_was_put_after_reading_dicom(
    tmp_path: Path, region: str, sign: int
) -> None:
    """In DICOM's LPS a left lesion has x > 0."""
    patient = phantom_patient(Lesion(region, 22.0, 40.0))
    exam = patient.exams[0]
    body = build_body(patient, exam, seed=0)
    lesions = place_lesions(patient, exam, body, seed=0, ontology=ONTOLOGY)
    grid, _ = scan_grids(body, size="small")
    suv = draw_pet(body, PHYSIOLOGY, lesions, grid=grid, rng=np.random.default_rng(0))
    study = new_study(patient, exam, seed=0)
    slices = read(write_pet_series(tmp_path, suv, grid=grid, study=study))
    k = int(np.argmax([s.pixel_array.max() * float(s.RescaleSlope) for s in slices]))
    row, column = np.unravel_index(int(slices[k].pixel_array.argmax()), slices[k].pixel_array.shape)
    corner = np.array(slices[k].ImagePositionPatient, float)
    spacing = float(slices[k].PixelSpacing[0])
    found_lps = corner + np.array([int(column) * spacing, int(row) * spacing, 0.0])
    expected_lps = lesions[0].center_mm * [-1, -1, 1]
    assert np.sign(found_lps[0]) == sign
    assert (np.abs(found_lps - expected_lps) <= 11.0).all()


def test_beds_are_measured_one_after_the_other(tmp_path: Path, study: PhantomStudy) -> None:
    slices = read(write_pet_series(tmp_path, ramp(), grid=GRID, study=study))
    references = [float(s.FrameReferenceTime) for s in slices]
    assert references == sorted(references)
    assert len(set(references)) == 3
    for s in slices:
        assert float(s.DecayFactor) == pytest.approx(
            2 ** (float(s.FrameReferenceTime) / 1000 / 6586.2), abs=1e-5
        )


def test_files_are_those_that_pydicom_writes(tmp_path: Path, study: PhantomStudy) -> None:
    for folder in (
        write_pet_series(tmp_path, ramp(), grid=GRID, study=study),
        write_ct_series(tmp_path, ramp(), grid=GRID, study=study),
        write_localizer(tmp_path, ramp(), grid=GRID, study=study),
        write_screenshot(tmp_path, ramp(), study=study),
    ):
        path = folder / "0001.dcm"
        dataset = pydicom.dcmread(path)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta = meta
        for element in list(dataset):
            dataset[element.tag].value = element.value  # decode, so that pydicom encodes anew
        dataset.save_as(tmp_path / "again.dcm", enforce_file_format=True)
        assert path.read_bytes() == (tmp_path / "again.dcm").read_bytes()


def test_element_that_cannot_be_set_per_slice_is_refused(
    tmp_path: Path, study: PhantomStudy
) -> None:
    base = Dataset()
    base.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    with pytest.raises(InputDataError, match=r"'PatientNam' .* cannot be set per slice"):
        SeriesWriter(base).write(tmp_path / "a.dcm", {"SOPInstanceUID": "1.2", "PatientNam": "x"})


def test_other_series_can_be_told_apart(tmp_path: Path, study: PhantomStudy) -> None:
    dim = read(write_pet_series(tmp_path, ramp(), grid=GRID, study=study, corrected=False))[0]
    scout = pydicom.dcmread(write_localizer(tmp_path, ramp(), grid=GRID, study=study) / "0001.dcm")
    screen = pydicom.dcmread(write_screenshot(tmp_path, ramp(), study=study) / "0001.dcm")
    assert "ATTN" not in dim.CorrectedImage
    assert "LOCALIZER" in scout.ImageType
    assert scout.pixel_array.shape == (12, 20)
    assert screen.Modality == "OT"
    assert screen.pixel_array.dtype == np.uint8


def test_uids_differ_between_exams_and_seeds() -> None:
    patient = phantom_patient()
    later = replace(patient.exams[0], number=1, exam_date=date(2019, 3, 20))
    patient = replace(patient, exams=(*patient.exams, later))
    first, second = (new_study(patient, e, seed=0) for e in patient.exams)
    assert first.uid("study") != second.uid("study")
    assert first.uid("study") != replace(first, seed=1).uid("study")
