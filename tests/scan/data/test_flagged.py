"""Exams with findings are left out of a datalist when asked, and the datalist says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from petct_ext.cohort.exam_checks import CheckedExam, write_check_table
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json
from petct_ext.ontology import RegionOntology
from petct_ext.scan.data.datalist import build_datalist

GOOD = Check("height", CheckState.FINE, "1.80 m")
OFF = Check("liver_suv", CheckState.NOT_FINE, "liver has SUV 12")
HARD = Check("height", CheckState.NOT_FINE, "9 m", is_hard=True)
UNKNOWN = Check("liver_suv", CheckState.NOT_MEASURED, "no liver is in view")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A good exam, one with a soft finding, an accepted one, one unknown, one without a record."""
    of_exam = {"E1": (GOOD,), "E2": (GOOD, OFF), "E3": (HARD,), "E4": (GOOD, UNKNOWN)}
    for exam, checks in of_exam.items():
        record = {"parameters": {"accepted": ["height"] if exam == "E3" else []}}
        document = record | {"checks": [check.to_json() for check in checks]}
        write_json(tmp_path / "volumes" / exam / "exam.json", document)
    lines = [f"E{n},ok,,volumes/E{n}/pet.nii,volumes/E{n}/ct.nii,9" for n in range(1, 6)]
    header = "exam_id,status,reason,pet,ct,num_slices"
    (tmp_path / "prepared.csv").write_text("\n".join([header, *lines, ""]))
    return tmp_path


def listed(work: Path, leave_out: list[str] | None) -> tuple[set[str], dict[str, int]]:
    path = work / "datalist.json"
    sizes = build_datalist(work, path, ontology=RegionOntology.default(), leave_out=leave_out)
    return {item["exam_id"] for item in read_json(path)["test"]}, sizes


def test_without_the_switch_all_are_listed(work: Path) -> None:
    assert listed(work, None)[0] == {"E1", "E2", "E3", "E4", "E5"}
    assert "left_out" not in read_json(work / "datalist.json")


def test_findings_and_unreadable_checks_leave_out_and_are_recorded(work: Path) -> None:
    exams, sizes = listed(work, [])
    assert exams == {"E1", "E3", "E4"}
    assert sizes["left_out as flagged"] == 2
    said = read_json(work / "datalist.json")["left_out"]
    assert said["exams_by_check"] == {"liver_suv": 1, "cannot be read": 1}
    assert said["reasons"]["E2"] == "liver_suv: liver has SUV 12"
    assert "exam.json cannot be read" in said["reasons"]["E5"]
    assert said["not_measured_but_listed"] == {"liver_suv": 1}
    assert said["checks_of_quality_page"] is False


def test_named_check_leaves_out_accepted_findings_too(work: Path) -> None:
    assert listed(work, ["height"])[0] == {"E1", "E2", "E4"}


def test_checks_of_the_quality_page_count(work: Path) -> None:
    moved = Check("alignment", CheckState.NOT_FINE, "the PET lies 40 mm to the left")
    write_check_table([CheckedExam("E1", (GOOD, moved))], work)
    assert listed(work, ["alignment"])[0] == {"E2", "E3", "E4"}


def test_name_that_is_not_a_check_is_refused(work: Path) -> None:
    with pytest.raises(InputDataError, match=r"no exam has a check 'liver_suw'.*liver_suv"):
        listed(work, ["liver_suw"])


def test_list_without_any_exam_is_refused(work: Path) -> None:
    (work / "prepared.csv").write_text(
        "exam_id,status,reason,pet,ct,num_slices\nE2,ok,,volumes/E2/pet.nii,volumes/E2/ct.nii,9\n"
    )
    with pytest.raises(
        InputDataError, match=r"all 1 exams would be left out as flagged, e\.g\. E2"
    ):
        listed(work, [])
