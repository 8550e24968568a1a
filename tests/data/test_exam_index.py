"""From a folder of DICOM to tables and volumes, with nothing that names a patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from petct_ext.data.exam_index import age_years, index_exams
from petct_ext.data.exam_volumes import prepare_exams
from petct_ext.data.schemas import IDENTIFIERS, SERIES, read_table
from petct_ext.dicom.convert import GridChoice
from petct_ext.errors import InputDataError
from tests.dicom.slices import write_slices

HEIGHTS = tuple(np.arange(20) * 3.0)
GRID = GridChoice(in_plane=8, field_of_view_mm=40.0)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """One good exam, one whose PET has no weight, one without CT."""
    for uid, weight in (("1.2.3", 70.0), ("1.2.4", None), ("1.2.5", 70.0)):
        folder = tmp_path / "dicom" / "Doe_Jane" / uid
        facts: dict[str, Any] = {
            "StudyInstanceUID": uid,
            "PatientID": f"SECRET-{uid}",
            "PatientWeight": weight,
        }
        values = np.arange(20)[:, None, None] * np.ones((4, 5)) * 100
        write_slices(
            folder, modality="PT", heights_mm=HEIGHTS, values=values, series=f"{uid}.1", **facts
        )
        if uid != "1.2.5":
            write_slices(folder, heights_mm=HEIGHTS, values=values, series=f"{uid}.2", **facts)
    return tmp_path


def test_good_exam_is_prepared_and_bad_ones_are_kept_with_a_reason(cohort: Path) -> None:
    work = cohort / "work"
    exams = index_exams(cohort / "dicom", work, salt="a secret")
    assert sorted(exams.status) == ["ok", "ok", "quarantined"]
    prepared = prepare_exams(work, grid=GRID)
    assert sorted(prepared.status) == ["ok", "quarantined", "quarantined"]
    reasons = " | ".join(prepared.reason)
    assert "has no CT series" in reasons
    assert "PatientWeight (0010,1030) is missing" in reasons


def test_volumes_share_a_ras_grid_and_hold_suv_and_hu(cohort: Path) -> None:
    work = cohort / "work"
    index_exams(cohort / "dicom", work, salt="a secret")
    row = prepare_exams(work, grid=GRID).query("status == 'ok'").iloc[0]
    pet, ct = (nib.Nifti1Image.from_filename(work / row[key]) for key in ("pet", "ct"))
    np.testing.assert_allclose(pet.affine, ct.affine)
    assert nib.aff2axcodes(pet.affine) == ("R", "A", "S")
    factor = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
    center = pet.get_fdata()[4, 4]
    np.testing.assert_allclose(center, np.arange(20) * 100 * factor, atol=1e-3)
    assert ct.get_fdata()[4, 4].tolist() == [100.0 * z for z in range(20)]
    assert ct.get_fdata()[0, 0, 0] == -1024.0  # beyond the scan there is air


def test_finished_exams_are_not_converted_again(cohort: Path) -> None:
    work = cohort / "work"
    index_exams(cohort / "dicom", work, salt="a secret")
    row = prepare_exams(work, grid=GRID).query("status == 'ok'").iloc[0]
    written = (work / row.pet).stat().st_mtime_ns
    prepare_exams(work, grid=GRID)
    assert (work / row.pet).stat().st_mtime_ns == written
    prepare_exams(work, grid=GridChoice(in_plane=10, field_of_view_mm=40.0))
    assert (work / row.pet).stat().st_mtime_ns > written


def test_identity_stays_in_the_private_folder(
    cohort: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = cohort / "work"
    index_exams(cohort / "dicom", work, salt="a secret")
    prepare_exams(work, grid=GRID)
    public = [p for p in work.rglob("*") if p.is_file() and "private" not in p.parts]
    text = caplog.text + "".join(p.read_bytes().decode("latin-1") for p in public)
    for secret in ("SECRET", "Doe", "19500102", "1.2.3"):
        assert secret not in text
    raw = read_table(work / "private" / "identifiers.csv", IDENTIFIERS).raw_patient_id
    assert "SECRET-1.2.3" in set(raw)
    assert (work / "private").stat().st_mode & 0o077 == 0


def test_every_series_has_a_reason(cohort: Path) -> None:
    work = cohort / "work"
    index_exams(cohort / "dicom", work, salt="a secret")
    assert read_table(work / "series.csv", SERIES).reason.ne("").all()


def test_folder_without_pet_is_refused(tmp_path: Path) -> None:
    write_slices(tmp_path / "dicom", heights_mm=HEIGHTS)
    with pytest.raises(InputDataError, match="1 DICOM studies, none with a PET"):
        index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret")


@pytest.mark.parametrize(
    ("text", "years"),
    [("061Y", 61.0), ("61Y", 61.0), ("061", 61.0), ("018M", 1.5), ("", None), ("old", None)],
)
def test_ages_are_read_in_all_their_spellings(text: str, years: float | None) -> None:
    assert age_years(text) == years
