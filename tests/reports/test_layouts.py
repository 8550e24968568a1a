"""Whatever layout a report has, its body is read and its history is not."""

from __future__ import annotations

import json

import pytest

from petct_ext.reports.readable import readable_text
from petct_ext.reports.sections import TAGGED_SECTIONS, read_share, split_sections
from tests.conftest import SHARED

BODY = (
    "There is an intensely avid mass in the pancreatic tail. Several hepatic lesions show uptake. "
    "The adrenal glands are unremarkable."
)
END = "Pancreatic cancer with liver metastases."

LAYOUTS = {
    "headings": f"INDICATION: Cough.\nFINDINGS: {BODY}\nIMPRESSION: {END}",
    "body alone": BODY,
    "body, then conclusion": f"{BODY}\n\nConclusion: {END}",
    "title above the body": f"PET-CT WHOLE BODY\n\n{BODY}\n\nImpression: {END}",
    "letter head": f"General Hospital\nNuclear Medicine Department\n\n{BODY}\n\nOpinion: {END}",
    "paragraph behind the history": f"Clinical information: Cough.\n\n{BODY}\n\nSummary: {END}",
    "list behind the history": f"History: Cough.\n1. {BODY}\n2. Gallstones.\nImpression: {END}",
    "behind the comparison": f"HISTORY: Cough.\nCOMPARISON: None. {BODY}\nIMPRESSION: {END}",
    "behind the technique": (
        "TECHNIQUE: 370 MBq FDG were injected. Images were acquired from vertex to thighs.\n"
        f"{BODY}\nIMPRESSION: {END}"
    ),
    "behind a dose": f"Radiotracer: FDG 250 MBq. Blood glucose 92 mg/dL.\n\n{BODY}\n\nIMP: {END}",
    "without colons": f"INDICATION\nCough.\nFINDINGS\n{BODY}\nIMPRESSION\n{END}",
    "both in one": f"INDICATION: Cough.\nFINDINGS/IMPRESSION: {BODY} {END}",
    "both in words": f"Indication: Cough.\nFindings and Impression: {BODY} {END}",
    "narrative": f"Narrative & Impression\nNARRATIVE: {BODY}\nIMPRESSION: {END}",
    "discussion": f"Reason for exam: Cough.\nDISCUSSION: {BODY}\nIMPRESSION: {END}",
    "body of report": f"Clinical data: Cough.\nBody of report:\n{BODY}\nSummary: {END}",
    "scan report": f"Clinical details: Cough.\nScan report:\n{BODY}\nOpinion\n{END}",
    "result": f"Request: Cough.\nResult of the examination: {BODY}\nConclusion: {END}",
    "whole body findings": f"History: Cough.\nWhole body FDG PET/CT findings: {BODY}",
    "equals signs": f"Indication = Cough.\nFindings = {BODY}\nImpression = {END}",
    "bold": f"**INDICATION**\nCough.\n**FINDINGS**\n{BODY}\n**IMPRESSION:**\n{END}",
    "underlined": f"__Indication:__ Cough.\n__Findings:__ {BODY}",
    "markdown": f"## Indication\nCough.\n## Findings\n{BODY}\n## Impression\n{END}",
    "HTML": f"<b>INDICATION:</b> Cough.<br><b>FINDINGS:</b> {BODY}<br><b>IMPRESSION:</b> {END}",
    "spaced letters": f"INDICATION: Cough.\nF I N D I N G S :\n{BODY}\nI M P R E S S I O N\n{END}",
    "one line": f"INDICATION: Cough. FINDINGS: {BODY} IMPRESSION: {END}",
    "one line, small letters": f"indication: cough. findings: {BODY} impression: {END}".lower(),
    "impression first": f"IMPRESSION: {END}\n\nINDICATION: Cough.\n\n{BODY}",
    "addendum first": f"ADDENDUM: none.\n\nINDICATION: Cough.\nFINDINGS: {BODY}",
    "zones": f"TECHNIQUE: FDG.\n\nHEAD/NECK: Normal.\nABDOMEN: {BODY}\nIMPRESSION: {END}",
    "German headings": f"Indikation: Cough.\nBefund: {BODY}\nBeurteilung: {END}",
    "Spanish headings": f"Indicación: Cough.\nHallazgos: {BODY}\nConclusión: {END}",
    "Windows line ends": f"INDICATION: Cough.\r\n\r\n{BODY}\r\n\r\nIMPRESSION: {END}",
}


def read_words(text: str) -> str:
    readable = readable_text(text)
    parts = [
        readable[section.start : section.end]
        for section in split_sections(readable)
        if section.name in TAGGED_SECTIONS
    ]
    return " ".join(" ".join(parts).split())


@pytest.mark.parametrize("name", LAYOUTS)
def test_body_is_read_and_history_is_not(name: str) -> None:
    text = LAYOUTS[name]
    read = read_words(text).lower()
    assert BODY.lower() in read
    assert "cough" not in read
    if END.lower() in text.lower():
        assert END.lower() in read
    assert read_share(readable_text(text), split_sections(readable_text(text))) > 0.9


@pytest.mark.parametrize(
    "history",
    [
        "Lung mass on CT. Prior PET showed an avid node in the left hilum.",
        "Restaging of breast cancer, status post surgery. Known bone metastases.",
        "65-year-old man with a nodule in the right lung.\nEvaluate for metastases.",
    ],
)
def test_history_that_speaks_of_disease_stays_history(history: str) -> None:
    text = f"CLINICAL HISTORY: {history}\n\nCOMPARISON: CT of 3/4/2012.\n\nFINDINGS: {BODY}"
    assert read_words(text) == BODY
    text = f"CLINICAL HISTORY: {history}\n\n{BODY}\n\nIMPRESSION: {END}"
    assert read_words(text) == f"{BODY} {END}"


def test_technique_in_paragraphs_stays_technique() -> None:
    text = (
        "PROCEDURE: PET/CT.\n\n370 MBq of FDG were injected. Uptake time was 62 minutes.\n\n"
        f"{BODY}\n\nIMPRESSION: {END}"
    )
    assert read_words(text) == f"{BODY} {END}"


@pytest.mark.shared
def test_layouts_of_hospitals_are_read() -> None:
    path = SHARED / "reports" / "layouts.jsonl"
    if not path.is_file():
        pytest.skip("../shared/reports/layouts.jsonl is not there (a clone does not have it)")
    lost = []
    for line in path.read_text(encoding="utf-8").splitlines():
        layout = json.loads(line)
        text = readable_text(layout["text"])
        read = {
            place
            for section in split_sections(text)
            if section.name in TAGGED_SECTIONS
            for place in range(section.start, section.end)
        }
        body = range(layout["body_start"], layout["body_end"])
        if any(place not in read for place in body if text[place].isalnum()):
            lost.append(layout["name"])
    assert lost == []
