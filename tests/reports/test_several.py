"""Several reports of an exam become one text by a stated rule, the same wherever they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.report_files import read_reports
from petct_ext.reports.rows import read_report_table
from petct_ext.reports.several import OneReport, combine_reports, require_several

OLD = OneReport("FINDINGS: Liver normal.", "2024-01-01")
NEW = OneReport("ADDENDUM: Spleen avid.", "2024-01-03 10:00")


@pytest.mark.parametrize(
    ("several", "text", "note"),
    [
        ("join", f"{OLD.text}\n\n{NEW.text}", "2 reports joined in the order of their dates"),
        ("newest", NEW.text, "the newest of 2 reports is read, in the order of their dates"),
        ("first", OLD.text, "the first of 2 reports is read, in the order of their dates"),
    ],
)
def test_dates_decide(several: str, text: str, note: str) -> None:
    found, _, told = combine_reports([NEW, OLD], require_several(several))
    assert found == text
    assert told.startswith(note)


def test_without_dates_the_order_of_the_table_counts_and_is_told() -> None:
    text, used, note = combine_reports([OneReport("B"), OneReport("A", "2020-01-01")], "join")
    assert (text, used) == ("B\n\nA", [0, 1])
    assert "order of the table" in note


def test_equal_reports_count_once() -> None:
    text, _, note = combine_reports([OLD, OneReport(OLD.text + " ", "2024-02-01")], "join")
    assert (text, note) == (OLD.text, "2 equal reports")


@pytest.mark.parametrize("date", ["20240105", "05.01.2024", "2024-01-05T12:00:00+01:00"])
def test_usual_forms_of_dates_are_read(date: str) -> None:
    assert combine_reports([OneReport("late", date), OLD], "newest")[0] == "late"


def test_unknown_choice_is_refused() -> None:
    with pytest.raises(InputDataError, match="'latest' is not a choice; one of join, newest"):
        require_several("latest")


@pytest.mark.parametrize("several", ["join", "newest", "first"])
def test_bundle_and_pipeline_read_the_same(several: str, tmp_path: Path) -> None:
    rows = "".join(f'1.2,"{r.text}",{r.date}\n' for r in (NEW, OLD))
    path = tmp_path / "reports.csv"
    path.write_text(f"study_instance_uid,text,report_date\n{rows}1.3,Lungs clear.,\n")
    choice = require_several(several)
    table = read_report_table(path, several=choice).set_index("study_instance_uid")
    loose = read_reports(path, several=several)
    assert loose.texts == table["text"].to_dict()
    assert loose.notes == {"1.2": table.loc["1.2", "note"]}
    assert table.loc["1.3", "note"] == ""
