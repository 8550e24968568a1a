"""A manifest of NIfTI pairs becomes the same tables as a folder of DICOM."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from petct_ext.cohort.nifti_index import index_nifti_pairs
from petct_ext.cohort.series_files import read_series_files
from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.tables.schemas import EXAMS, IDENTIFIERS, SERIES, read_table
from tests.dicom.nifti_files import ct_values, pet_values, write

SALT = "a secret of the tests"
BQML = {
    "pet_units": "BQML",
    "weight_kg": 70.0,
    "injected_dose_bq": 350e6,
    "uptake_time_s": 3600.0,
    "half_life_s": 6586.2,
    "decay_correction": "START",
}


def row(study: str, **changes: Any) -> dict[str, Any]:
    values = {
        "study_id": f"STUDY-{study}",
        "patient_id": "DOE_JANE",
        "exam_date": "2020-01-02",
        "pet": f"{study}/SUV.nii.gz",
        "ct": f"{study}/CT.nii.gz",
        "pet_units": "SUVbw",
        "sex": "F",
        "age_years": 61,
    }
    return values | changes


def write_manifest(folder: Path, rows: list[dict[str, Any]]) -> Path:
    for study in ("a", "b"):
        write(folder / study / "SUV.nii.gz", pet_values())
        write(folder / study / "CT.nii.gz", ct_values())
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "nifti_pairs.csv", index=False)
    return folder / "nifti_pairs.csv"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "in", [row("a"), row("b", **BQML)])


def test_every_pair_becomes_an_exam(manifest: Path, tmp_path: Path) -> None:
    exams = index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)
    assert exams.status.tolist() == ["ok", "ok"]
    assert exams.patient_id.nunique() == 1
    table = read_table(tmp_path / "work" / "exams.csv", EXAMS)
    assert sorted(table.uptake_min.dropna()) == [60.0]
    series = read_table(tmp_path / "work" / "series.csv", SERIES)
    assert series.num_slices.tolist() == [7] * 4
    assert series.extent_mm.tolist() == [18.0] * 4
    assert series.chosen.sum() == 4


def test_files_of_a_series_are_the_volume_and_what_the_manifest_says(
    manifest: Path, tmp_path: Path
) -> None:
    exams = index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)
    files = read_series_files(tmp_path / "work")
    by_dose = exams.set_index(exams.injected_dose_bq.notna())
    pet, facts = files[by_dose.pet_series[True]]
    (ct,) = files[by_dose.ct_series[True]]
    assert (pet.name, ct.name) == ("SUV.nii.gz", "CT.nii.gz")
    assert pet.is_file()
    assert ct.is_file()
    assert read_json(facts) == BQML | {"height_m": None}


def test_tables_name_nobody(manifest: Path, tmp_path: Path) -> None:
    index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)
    for name in ("exams.csv", "series.csv"):
        text = (tmp_path / "work" / name).read_text()
        assert "DOE" not in text
        assert "STUDY-" not in text
    private = tmp_path / "work" / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    identifiers = read_table(private / "identifiers.csv", IDENTIFIERS)
    assert set(identifiers.study_instance_uid) == {"STUDY-a", "STUDY-b"}
    assert set(identifiers.raw_patient_id) == {"DOE_JANE"}


def test_dates_are_shifted_by_patient_and_ids_kept_on_request(
    manifest: Path, tmp_path: Path
) -> None:
    exams = index_nifti_pairs(manifest, tmp_path, salt=SALT, keep_ids=True, shift_dates=True)
    assert exams.exam_id.tolist() == ["STUDY-a", "STUDY-b"]
    assert exams.exam_date.nunique() == 1
    assert exams.exam_date.iloc[0] != "2020-01-02"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pet": "b/nothing.nii.gz"}, "PET: nothing.nii.gz does not exist"),
        ({"ct": "a/CT.nii.gz"}, "CT: CT.nii.gz is named 2 times in the manifest"),
        ({"ct": "b/SUV.nii.gz"}, "PET: SUV.nii.gz is named 2 times"),
        ({"ct": "b/4d.nii.gz"}, "CT: 4d.nii.gz has shape"),
        ({"pet": "b/cut.nii.gz"}, "PET: cut.nii.gz cannot be unpacked"),
    ],
)
def test_pair_that_cannot_be_used_is_kept_with_the_reason(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    manifest = write_manifest(
        tmp_path,
        [row("a"), row("b", **change), row("c", **{"pet": "c/SUV.nii.gz", "ct": "c/CT.nii.gz"})],
    )
    write(tmp_path / "c" / "SUV.nii.gz", pet_values())
    write(tmp_path / "c" / "CT.nii.gz", ct_values())
    write(tmp_path / "b" / "4d.nii.gz", ct_values().repeat(2).reshape(9, 8, 7, 2))
    (tmp_path / "b" / "cut.nii.gz").write_bytes((tmp_path / "b" / "CT.nii.gz").read_bytes()[:60])
    exams = index_nifti_pairs(manifest, tmp_path / "work", salt=SALT, keep_ids=True)
    bad = exams.set_index("exam_id").loc["STUDY-b"]
    assert bad.status == "quarantined"
    assert reason in bad.reason
    assert exams.set_index("exam_id").status["STUDY-c"] == "ok"


def test_manifest_without_a_usable_pair_is_refused(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, [row("x")])
    with pytest.raises(InputDataError, match="none of the 1 PET studies"):
        index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("a", pet_units="SUV")], "pet_units"),
        ([row("a", exam_date="02.01.2020")], "exam_date"),
        ([row("a"), row("a")], "study_id|STUDY"),
        ([{"study_id": "a"}], "lacks the column"),
    ],
)
def test_malformed_manifest_is_refused(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    manifest = write_manifest(tmp_path, rows)
    with pytest.raises(InputDataError, match=message):
        index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)


def test_facts_change_only_with_the_manifest(tmp_path: Path) -> None:
    """Preparation knows by the time of the file whether an exam must be made again."""
    manifest = write_manifest(tmp_path, [row("a", **BQML)])
    index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)
    (facts,) = (tmp_path / "work" / "private" / "nifti").iterdir()
    before = facts.stat().st_mtime_ns
    index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)
    assert facts.stat().st_mtime_ns == before
    write_manifest(tmp_path, [row("a", **BQML, height_m=1.8) | {"weight_kg": 71.0}])
    index_nifti_pairs(manifest, tmp_path / "work", salt=SALT)
    assert read_json(facts)["weight_kg"] == 71.0
