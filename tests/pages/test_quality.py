"""The page that shows every exam before training."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from petct_ext.cohort.preparation import prepare_exams
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json
from petct_ext.pages.quality import write_quality_page
from petct_ext.tables.schemas import CHECKS, PREPARED, read_table, write_table
from tests.dicom.exams import write_cohort


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three exams: one good, one whose PET is not in SUV, one without pixels."""
    root = tmp_path_factory.mktemp("quality")
    work = write_cohort(root, {"E1": {}, "E2": {"PatientWeight": None}, "E3": {}})
    next((root / "dicom" / "E3" / "pet").iterdir()).write_bytes(b"<b>")
    prepare_exams(work, grid=GridChoice(in_plane=32, field_of_view_mm=64.0), suv="optional")
    return work


def test_page_needs_nothing_else_and_tells_what_was_left_out(work: Path) -> None:
    rows = write_quality_page(work).set_index("exam_id")
    page = (work / "quality" / "index.html").read_text()
    assert len(re.findall(r"data:image/jpeg;base64,", page)) == 2
    assert not re.search(r"<link|src=\"(?!data:)|https?://", page.replace("http://www.w3.org", ""))
    assert "E3" in page
    assert "E2: 20 slices" in page
    assert "PET is in BQML, not SUV" in rows["flags"]["E2"]
    assert "(0010,1030)" in rows["warnings"]["E2"]
    assert np.isnan(rows["liver_suv"].astype(float)).all()  # such small bodies have no lung
    assert (work / "quality" / "quality.csv").is_file()


def spoil(work: Path, exam_id: str, *checks: Check, accepted: tuple[str, ...] = ()) -> None:
    """Puts checks into the record of an exam."""
    path = work / "volumes" / exam_id / "exam.json"
    document = read_json(path)
    document["checks"] = [check.to_json() for check in checks]
    document["parameters"]["accepted"] = list(accepted)
    write_json(path, document)


@pytest.fixture
def checked(work: Path, tmp_path: Path) -> Path:
    """E1 has an accepted hard finding and something unknown, E2 is fine, E3 is held back."""
    copy = tmp_path / "work"
    shutil.copytree(work, copy)
    height = Check("height", CheckState.NOT_FINE, "height <b>9 m</b>", is_hard=True)
    liver = Check("liver_suv", CheckState.NOT_MEASURED, "no liver is in view")
    spoil(copy, "E1", height, liver, accepted=("height",))
    units = Check("pet_units", CheckState.NOT_FINE, "the PET is in BQML, not SUV")
    spoil(copy, "E2", Check("height", CheckState.FINE, "1.80 m"), units)
    table = read_table(copy / "prepared.csv", PREPARED)
    table.loc[table.exam_id == "E3", "reason"] = "implausible: weight 9 kg. Correct it."
    write_table(table, copy / "prepared.csv", PREPARED)
    return copy


def test_held_back_exams_come_first_then_accepted_findings(checked: Path) -> None:
    write_quality_page(checked)
    page = (checked / "quality" / "index.html").read_text()
    order = re.findall(r"<tr><td>(E\d)</td><td>(held back|accepted|not fine)</td>", page)
    assert order == [("E3", "held back"), ("E1", "accepted"), ("E2", "not fine")]
    assert "height: height &lt;b&gt;9 m&lt;/b&gt; (accepted)" in page


def test_states_stand_in_words_with_reasons_of_what_is_unknown(checked: Path) -> None:
    rows = write_quality_page(checked).set_index("exam_id")
    page = (checked / "quality" / "index.html").read_text()
    for kind, text in (
        ("accepted", "accepted"),
        ("fine", "fine"),
        ("not-measured", "not measured"),
    ):
        assert re.search(rf'<td class="{kind}" title="[^"]*">{text}</td>', page), kind
    assert '<td class="absent"' in page  # E2 was not checked for its liver
    assert "liver suv: no liver is in view" in page
    assert "run scripts/check_exams.py --alignment itk" in page
    assert rows.num_not_measured.to_dict() == {"E1": 2, "E2": 1}
    table = read_table(checked / "quality" / "checks.csv", CHECKS).set_index(["exam_id", "check"])
    assert table.loc[("E1", "height"), "accepted"] == 1
    assert table.loc[("E1", "alignment"), "state"] == "not measured"


def test_protocols_say_what_is_not_stated(checked: Path) -> None:
    write_quality_page(checked)
    page = (checked / "quality" / "index.html").read_text()
    assert "PET reconstruction" in page
    assert "not stated" in page
    assert "fewer than 8 exams have no quartiles" in page


def test_alignment_without_itk_is_refused_with_the_remedy(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petct_ext.dicom.checking.alignment.find_spec", lambda name: None)
    with pytest.raises(InputDataError, match=r"pip install 'petct_ext\[itk\]'"):
        write_quality_page(work, alignment="itk")


def test_number_of_pictures_can_be_limited(work: Path) -> None:
    write_quality_page(work, num_pictures=1)
    page = (work / "quality" / "index.html").read_text()
    assert len(re.findall(r"data:image/jpeg;base64,", page)) == 1
    assert "1 of 2 exams are shown" in page


def test_pictures_can_be_read(work: Path) -> None:
    write_quality_page(work)
    page = (work / "quality" / "index.html").read_text()
    for text in re.findall(r"data:image/jpeg;base64,([^\"]+)", page):
        assert Image.open(io.BytesIO(base64.b64decode(text))).format == "JPEG"


def test_damaged_exam_is_told_and_does_not_stop_the_page(work: Path, tmp_path: Path) -> None:
    record_path = work / "volumes" / "E1" / "exam.json"
    document = read_json(record_path)
    try:
        write_json(record_path, {})
        rows = write_quality_page(work).set_index("exam_id")
    finally:
        write_json(record_path, document)
    assert rows["flags"]["E1"].startswith("exam.json has no checks")
    assert "scripts/prepare_exams.py" in rows["flags"]["E1"]


def test_cohort_without_prepared_exams_is_refused(tmp_path: Path) -> None:
    work = write_cohort(tmp_path, {"E1": {}})
    header = "exam_id,status,reason,pet,ct,num_slices\n"
    (work / "prepared.csv").write_text(header + "E1,quarantined,bad,,,\n")
    with pytest.raises(InputDataError, match="has no exam that is ready"):
        write_quality_page(work)
