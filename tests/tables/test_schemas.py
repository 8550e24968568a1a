"""Tables are read as promised, or refused with file, line, column and value."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError, OutputError
from petct_ext.tables.schemas import (
    HAND_LABELS,
    LABELS,
    MENTIONS,
    OUTCOMES,
    PREDICTIONS,
    REPORTS,
    SPLITS,
    read_table,
    write_table,
)


def csv(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode())
    return path


def test_text_survives_line_breaks_and_quotes(tmp_path: Path) -> None:
    text = 'FINDINGS:\n "hot" node,\n\n  left;  NA'
    table = pd.DataFrame({"study_instance_uid": ["1"], "text": [text]})
    path = write_table(table, tmp_path / "reports.csv", REPORTS)
    assert read_table(path, REPORTS).text.tolist() == [text]


def test_optional_columns_are_added_empty(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, "study_instance_uid,text\n1,a\n"), REPORTS)
    assert table.indication.tolist() == [""]


def test_byte_order_mark_of_spreadsheets_is_ignored(tmp_path: Path) -> None:
    path = csv(tmp_path, "\ufeffstudy_instance_uid,text\n1,a\n")
    assert read_table(path, REPORTS).study_instance_uid.tolist() == ["1"]


def test_identifiers_keep_their_leading_zeros(tmp_path: Path) -> None:
    path = csv(tmp_path, "patient_id,death_date,last_contact_date\n007,,2020-01-01\n")
    assert read_table(path, OUTCOMES).patient_id.tolist() == ["007"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it should hold the reports table"),
        ("study_instance_uid,text\n", "has no rows"),
        ("study_instance_uid,txet\n1,a\n", r"lacks the column\(s\) text.*Did you mean 'txet'"),
        ("study_instance_uid,text\n,a\n", "line 2, column 'study_instance_uid': '' is empty"),
        ("study_instance_uid,text\n1,a\n1,b\n", "line 3: study_instance_uid repeat an earlier"),
        ("study_instance_uid,text,summary_code\n1,a,3\n", "'3' is none of 1, 2, 4, 9"),
    ],
)
def test_broken_reports_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        read_table(csv(tmp_path, text), REPORTS)


def test_other_encodings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes("study_instance_uid,text\n1,Größe\n".encode("latin-1"))
    with pytest.raises(InputDataError, match=r"not UTF-8 \(byte 28\)"):
        read_table(path, REPORTS)


def test_missing_file_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="does not exist; it should hold the mentions table"):
        read_table(tmp_path / "mentions.csv", MENTIONS)


@pytest.mark.parametrize("value", ["1.2", "-0.1", "yes", "inf"])
def test_what_is_no_probability_is_refused(tmp_path: Path, value: str) -> None:
    header = "experiment,seed,split,task,exam_id,target,prob\n"
    with pytest.raises(InputDataError, match=rf"column 'prob': '{value}' is not a probability"):
        read_table(csv(tmp_path, f"{header}a,0,test,liver,E1,,{value}\n"), PREDICTIONS)


def test_dates_are_checked(tmp_path: Path) -> None:
    path = csv(tmp_path, "patient_id,death_date,last_contact_date\n1,31.12.2020,\n")
    with pytest.raises(InputDataError, match=r"'31\.12\.2020' is not a date YYYY-MM-DD"):
        read_table(path, OUTCOMES)


@pytest.mark.parametrize("date", ["2020-9-15", "2020-09-5", "20-09-15", "2020-02-30"])
def test_dates_that_would_sort_wrongly_as_text_are_refused(tmp_path: Path, date: str) -> None:
    path = csv(tmp_path, f"patient_id,death_date,last_contact_date\n1,,2020-01-01\n2,{date},\n")
    with pytest.raises(InputDataError, match=rf"line 3, column 'death_date': '{date}' is not a d"):
        read_table(path, OUTCOMES)


def test_blanks_around_ids_make_no_second_patient(tmp_path: Path) -> None:
    path = csv(tmp_path, "exam_id,patient_id,split\nE1,P1,test\nE2,P1 ,test\n E3,\tP1,test\n")
    table = read_table(path, SPLITS)
    assert table.patient_id.tolist() == ["P1"] * 3
    assert table.exam_id.tolist() == ["E1", "E2", "E3"]
    with pytest.raises(InputDataError, match="line 3: exam_id repeat an earlier line"):
        read_table(csv(tmp_path, "exam_id,patient_id,split\nE1,P1,test\nE1 ,P2,test\n"), SPLITS)


def test_id_of_blanks_only_is_empty(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"column 'patient_id': ' ' is empty"):
        read_table(csv(tmp_path, "exam_id,patient_id,split\nE1, ,test\n"), SPLITS)


def test_blanks_around_report_text_stay_since_annotations_count_characters(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, "study_instance_uid,text\n1 ,  hot node \n"), REPORTS)
    assert (table.study_instance_uid[0], table.text[0]) == ("1", "  hot node ")


def test_columns_of_regions_hold_zero_one_or_nothing(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, "study_instance_uid,liver\n1,1\n2,\n"), HAND_LABELS)
    assert table.liver.isna().tolist() == [False, True]
    with pytest.raises(InputDataError, match=r"'0\.5' is not a 0 or 1"):
        read_table(csv(tmp_path, "study_instance_uid,liver\n1,0.5\n"), HAND_LABELS)


def test_nothing_is_written_if_the_table_is_wrong(tmp_path: Path) -> None:
    table = pd.DataFrame({"exam_id": ["E1"], "patient_id": ["P1"], "split": ["holdout"]})
    with pytest.raises(InputDataError, match="'holdout' is none of training"):
        write_table(table, tmp_path / "splits.csv", SPLITS)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    table = pd.DataFrame({"exam_id": ["E1"], "patient_id": ["P1"], "split": ["test"]})
    with pytest.raises(OutputError, match="cannot be written to"):
        write_table(table, tmp_path / "file" / "splits.csv", SPLITS)


def test_parquet_tables_are_written_and_checked_like_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    place = {"exam_id": "007", "section": "findings", "sentence": 0, "start": 3, "end": 8}
    mentions = pd.DataFrame([{**place, "region": "liver", "probability": 0.25}])
    labels = pd.DataFrame({"exam_id": ["007", "8"], "liver": [0.25, None], "spleen": [1.0, 0.0]})
    for table, schema in ((mentions, MENTIONS), (labels, LABELS)):
        parquet = write_table(table, tmp_path / "t.parquet", schema)
        assert parquet.read_bytes()[:4] == b"PAR1"
        csv_table = read_table(write_table(table, tmp_path / "t.csv", schema), schema)
        pd.testing.assert_frame_equal(read_table(parquet, schema), csv_table)
    with pytest.raises(InputDataError, match=r"line 2, column 'liver': '2' is not a probability"):
        write_table(labels.assign(liver=2.0), tmp_path / "u.parquet", LABELS)
    assert not (tmp_path / "u.parquet").exists()


def test_parquet_without_its_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    table = pd.DataFrame({"exam_id": ["7"], "liver": [0.5]})
    with pytest.raises(InputDataError, match=r"needs pyarrow: pip install 'petct_ext\[parquet\]'"):
        write_table(table, tmp_path / "t.parquet", LABELS)
