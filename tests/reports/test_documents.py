"""Reports in Word, PDF, RTF and UTF-16 are read; what cannot be is named with the reason."""

from __future__ import annotations

from pathlib import Path

import docx
import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.report_files import read_reports
from petct_ext.reports.texts import read_report_file

TEXT = "FINDINGS: Intense uptake in the liver."


def pdf(words: str) -> bytes:
    """A page with one line of text."""
    drawn = f"BT /F1 12 Tf 20 50 Td ({words}) Tj ET"
    font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    fonts = f"<</Font<</F1 {font}>>>>"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 100]/Contents 4 0 R/Resources {fonts}>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
    ]
    text, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(f"{len(text):010d} 00000 n \n")
        text += f"{number} 0 obj{content}endobj\n"
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    end = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(text)}\n%%EOF\n"
    return (text + head + "".join(places) + end).encode()


def test_word_document_with_a_table(tmp_path: Path) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "General Hospital"
    document.add_paragraph(TEXT)
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Spleen", "normal"
    document.add_paragraph("IMPRESSION: Metastasis.")
    document.save(str(tmp_path / "a.docx"))
    text, note = read_report_file(tmp_path / "a.docx")
    assert text.splitlines() == [
        "General Hospital",
        TEXT,
        "Spleen | normal",
        "IMPRESSION: Metastasis.",
    ]
    assert note == ""


def test_pdf_with_text(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(TEXT))
    assert read_report_file(tmp_path / "a.pdf")[0].strip() == TEXT


def test_pdf_without_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(""))
    with pytest.raises(InputDataError, match="PDF without text"):
        read_report_file(tmp_path / "a.pdf")


def test_rtf(tmp_path: Path) -> None:
    (tmp_path / "a.rtf").write_bytes(rb"{\rtf1\ansi{\b FINDINGS:} Uptake in the liver.\par}")
    assert read_report_file(tmp_path / "a.rtf")[0].strip() == "FINDINGS: Uptake in the liver."


def test_utf_16_and_windows_1252(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Müller: liver".encode("utf-16"))
    (tmp_path / "b.txt").write_bytes("Müller: liver".encode("cp1252"))
    assert read_report_file(tmp_path / "a.txt") == ("Müller: liver", "")
    text, note = read_report_file(tmp_path / "b.txt")
    assert text == "Müller: liver"
    assert "read as Windows-1252" in note


def test_every_file_of_a_folder_is_read_or_named(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text(TEXT)
    (tmp_path / "broken.docx").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "twice.txt").write_text(TEXT)
    (tmp_path / "twice.rtf").write_bytes(rb"{\rtf1 FINDINGS: Uptake in the spleen.}")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (tmp_path / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "scan.png").write_bytes(b"\x89PNG")
    found = read_reports(tmp_path)
    assert list(found.texts) == ["good", "twice.rtf", "twice.txt"]
    assert sorted(found.problems) == ["broken.docx", "broken.pdf", "old", "scan"]
    assert "cannot be opened as a Word document" in found.problems["broken.docx"]
    assert ".doc files are not read" in found.problems["old"]
