"""From a folder of DICOM to tables and volumes, with nothing that names a patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from petct_ext.cohort.index import age_years, count_reasons, index_exams
from petct_ext.cohort.preparation import prepare_exams
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.errors import InputDataError
from petct_ext.tables.schemas import EXAMS, IDENTIFIERS, SERIES, read_table
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
    assert "Weight (0010,1030) is missing" in reasons


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


def write_pair(folder: Path, uid: str, **facts: Any) -> None:
    for modality, number in (("PT", 1), ("CT", 2)):
        write_slices(
            folder / uid,
            modality=modality,
            heights_mm=HEIGHTS,
            series=f"{uid}.{number}",
            StudyInstanceUID=uid,
            **facts,
        )


def test_columns_of_an_exam_are_filled_from_the_header(tmp_path: Path) -> None:
    write_pair(tmp_path / "dicom", "1.2.3", StudyDescription="PET/CT WB", Manufacturer="ACME")
    index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret")
    row = read_table(tmp_path / "work" / "exams.csv", EXAMS).iloc[0]
    facts = ["exam_date", "sex", "age_years", "weight_kg", "height_m", "study_description"]
    assert row[facts].tolist() == ["2020-01-02", "F", 61.0, 70.0, 1.7, "PET/CT WB"]
    facts = ["manufacturer", "injected_dose_bq", "uptake_min", "ct_match", "notes"]
    assert row[facts].tolist() == ["ACME", 350e6, 60.0, "frame_of_reference", ""]


def test_uptake_time_that_cannot_be_told_stays_empty(tmp_path: Path) -> None:
    write_pair(tmp_path / "dicom", "1.2.3", SeriesTime="", AcquisitionTime="")
    exams = index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret")
    assert exams.status.tolist() == ["ok"]
    assert exams.uptake_min.isna().all()


def test_exam_without_patient_is_quarantined_and_one_without_date_is_noted(
    tmp_path: Path,
) -> None:
    write_pair(tmp_path / "dicom", "1.2.3")
    write_pair(tmp_path / "dicom", "1.2.4", PatientID="")
    write_pair(tmp_path / "dicom", "1.2.5", StudyDate="")
    exams = index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret")
    assert count_reasons(exams) == {"has no Patient ID (0010,0020)": 1}
    (undated,) = exams[exams.exam_date == ""].to_dict("records")
    assert (undated["status"], undated["notes"]) == (
        "ok",
        "has no Study Date (0008,0020): it cannot be followed up",
    )
    unknown = exams[exams.reason.str.contains("Patient ID")].patient_id
    assert not unknown.isin(exams[exams.status == "ok"].patient_id).any()


def test_reasons_are_counted_without_their_numbers() -> None:
    exams = pd.DataFrame(
        {
            "status": ["ok", "quarantined", "quarantined"],
            "reason": [
                "",
                "has a CT that covers 12% of the PET",
                "has a CT that covers 3% of the PET",
            ],
        }
    )
    assert count_reasons(exams) == {"has a CT that covers #% of the PET": 2}


def test_tables_are_written_even_if_no_exam_can_be_used(tmp_path: Path) -> None:
    write_slices(tmp_path / "dicom", modality="PT", heights_mm=HEIGHTS)
    with pytest.raises(InputDataError, match=r"none of the 1 PET studies.*has no CT series"):
        index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret")
    assert read_table(tmp_path / "work" / "exams.csv", EXAMS).status.tolist() == ["quarantined"]


def test_shifted_dates_keep_intervals_and_leave_no_true_date(tmp_path: Path) -> None:
    for uid, day in (("1.2.3", "20200102"), ("1.2.4", "20200212")):
        dates = dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate"), day)
        write_pair(tmp_path / "dicom", uid, StudyDescription="WB 02.01.2020", **dates)
    work = tmp_path / "work"
    exams = index_exams(tmp_path / "dicom", work, salt="a secret", shift_dates=True)
    first, second = sorted(pd.to_datetime(exams.exam_date))
    assert (second - first).days == 41
    identifiers = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    (shift,) = set(identifiers.date_shift_days)
    assert (first - pd.Timestamp("2020-01-02")).days == shift
    assert exams.study_description.tolist() == ["WB [date]"] * 2
    assert exams.uptake_min.tolist() == [60.0, 60.0]


def test_identifiers_are_kept_on_request(tmp_path: Path) -> None:
    write_pair(tmp_path / "dicom", "1.2.3")
    exams = index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret", keep_ids=True)
    keys = ["exam_id", "patient_id", "pet_series", "ct_series"]
    assert exams[keys].iloc[0].tolist() == [
        "1.2.3",
        "SECRET-4711",
        "1.2.3.1.2.3.1",
        "1.2.3.1.2.3.2",
    ]


def test_ct_study_of_its_own_serves_the_pet_and_is_listed_with_it(tmp_path: Path) -> None:
    write_slices(
        tmp_path / "dicom",
        modality="PT",
        heights_mm=HEIGHTS,
        series="1",
        StudyInstanceUID="1.2.4",
        values=np.arange(20)[:, None, None] * np.full((4, 5), 100),
    )
    write_slices(tmp_path / "dicom", heights_mm=HEIGHTS, series="2")
    exams = index_exams(tmp_path / "dicom", tmp_path / "work", salt="a secret")
    assert exams.notes.tolist() == ["the CT stands in another study of the same patient"]
    series = read_table(tmp_path / "work" / "series.csv", SERIES)
    assert series.modality.tolist() == ["PT", "CT"]
    assert series.chosen.tolist() == [1, 1]
    assert prepare_exams(tmp_path / "work", grid=GRID).status.tolist() == ["ok"]


def test_damaged_files_are_named_in_private_only(
    cohort: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = next((cohort / "dicom" / "Doe_Jane" / "1.2.5").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:300])
    work = cohort / "work"
    index_exams(cohort / "dicom", work, salt="a secret")
    unread = pd.read_csv(work / "private" / "unread_files.csv")
    assert unread.path.tolist() == [f"Doe_Jane/1.2.5/{damaged.name}"]
    assert "1 file(s) or folder(s) give no header" in caplog.text
    assert "Doe" not in caplog.text
