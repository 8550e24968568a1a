"""Reports from tables and folders: whatever is wrong with one is named, the others are labeled."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.report_files import items_to_label, read_reports, write_report_labels
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import MENTIONS, write_table

TEXT = "FINDINGS: Hypermetabolic mass in the left lung."


def test_table_with_ids_keeps_them_and_one_without_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'exam_id,text\ne7,"{TEXT}"\n')
    assert read_reports(path).texts == {"e7": TEXT}
    path.write_text(f'Report\n"{TEXT}"\n')
    assert read_reports(path).texts == {"row_1": TEXT}


def test_folder_gives_one_report_per_file(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "a.txt").write_bytes(TEXT.encode() + b" \xe9")
    (tmp_path / "2011").mkdir()
    (tmp_path / "2011" / "c.txt").write_text(TEXT)
    (tmp_path / "scan.dcm").write_bytes(b"no report")
    (tmp_path / ".hidden.txt").write_text(TEXT)
    found = read_reports(tmp_path)
    assert set(found.texts) == {"a", "b", "2011/c"}
    assert found.texts["a"].endswith("é")
    assert "not UTF-8" in found.problems["a"]


def test_broken_row_costs_that_row_only(tmp_path: Path) -> None:
    rows = [f'e{i},"{TEXT}"' for i in range(50)]
    rows[20] = f"e20,{TEXT},too,many"
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["exam_id,text", *rows]) + "\n")
    found = read_reports(path)
    assert len(found.texts) == 49
    assert "line 22: 4 fields instead of 2" in found.problems["e20"]


def test_lost_quotation_mark_costs_its_row_only(tmp_path: Path) -> None:
    rows = [f'e{i},"{TEXT}\nLiver ""normal""."' for i in range(50)]
    rows[20] = f'e20,"{TEXT}'
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["exam_id,text", *rows]) + "\n")
    found = read_reports(path)
    assert sorted(found.texts) == sorted(f"e{i}" for i in range(50) if i != 20)
    assert found.texts["e21"] == f'{TEXT}\nLiver "normal".'
    assert list(found.problems) == ["line_42"]


def test_parquet_tables_are_read_like_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    table = pd.DataFrame({"exam_id": [7, 8, 9], "Report": [TEXT, None, "Liver normal."]})
    table.to_parquet(tmp_path / "a.parquet")
    table.to_csv(tmp_path / "a.csv", index=False)
    found = read_reports(tmp_path / "a.parquet")
    assert found.texts == {"7": TEXT, "8": "", "9": "Liver normal."}
    assert found == read_reports(tmp_path / "a.csv")
    assert found.problems == {"8": "the report is empty"}


def test_parquet_without_its_library_or_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputDataError, match=r"a\.parquet (is a Parquet file, which needs|cannot)"):
        read_reports(tmp_path / "a.parquet")


def test_sentences_that_repeat_are_there_once(tmp_path: Path) -> None:
    for name in "abc":
        text = f"FINDINGS: Exam {name}. The liver is normal. Avid left lung."
        (tmp_path / f"{name}.txt").write_text(text)
    items = items_to_label(RegionOntology.default(), items="none", reports=tmp_path)
    assert [item["text"] for item in items] == ["Avid left lung.", "The liver is normal."]
    assert all([copy["exam_id"] for copy in item["copies"]] == ["b", "c"] for item in items)


def test_bytes_of_another_code_page_are_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"exam_id,text\ne1,Uptake \x96 liver\ne2,Spleen\n")
    found = read_reports(path)
    assert found.texts == {"e1": "Uptake \u2013 liver", "e2": "Spleen"}
    assert list(found.problems) == ["e1"]


def test_row_without_an_id_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\nx,Liver\n,Spleen\n")
    found = read_reports(path)
    assert found.texts == {"x": "Liver", "row_2": "Spleen"}
    assert found.problems == {"row_2": "line 3 has no id"}


def test_repeated_id_loses_no_report(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\nx,Liver\nx,Spleen\n")
    found = read_reports(path)
    assert found.texts == {"x": "Liver\n\nSpleen"}
    assert found.notes == {
        "x": "2 reports joined in the order of the table, as not all have a date"
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [("id,words\n1,a\n", "no column with the report's text"), ("id,text\n", "holds no report")],
)
def test_table_without_reports_is_refused(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(InputDataError, match=told):
        read_reports(path)


def test_every_report_has_a_status_and_labels(tmp_path: Path) -> None:
    ontology = RegionOntology.default()
    (tmp_path / "in").mkdir()
    for name, text in {"good": TEXT, "empty": " ", "history": "HISTORY: lung cancer."}.items():
        (tmp_path / "in" / f"{name}.txt").write_text(text)
    status, mentions = tmp_path / "status.csv", tmp_path / "mentions.csv"
    items = items_to_label(ontology, items="none", reports=tmp_path / "in", status=status)
    assert {item["exam_id"] for item in items} == {"good"}
    states = pd.read_csv(status).set_index("exam_id")["status"]
    assert states.to_dict() == {
        "empty": "empty",
        "good": "labeled",
        "history": "no findings",
    }
    row = {"exam_id": "good", "section": "findings", "sentence": 0, "start": 37, "end": 46}
    table = pd.DataFrame([{**row, "region": "left_lungs", "probability": 0.9}])
    write_table(table, mentions, MENTIONS)
    path = write_report_labels(
        mentions, tmp_path / "labels.csv", ontology, reports=tmp_path / "in", status=status
    )
    assert path is not None
    labels = pd.read_csv(path).set_index("exam_id")
    assert labels.loc["good", "lungs"] == 0.9
    assert labels.loc["empty"].isna().all()


def test_prepared_items_are_used_without_reports(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="does not exist"):
        items_to_label(RegionOntology.default(), items=tmp_path / "items.json")
