"""A report that could not be read says so; it never counts as normal."""

from __future__ import annotations

import math

import pytest

from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger
from petct_ext.reports.language import is_english
from petct_ext.reports.reading import read_report, show_sections
from petct_ext.reports.status import report_status

ONTOLOGY = RegionOntology.default()

GERMAN = (
    "Befund: Kein Nachweis einer FDG-speichernden Läsion in der Leber. Die Milz ist unauffällig. "
    "Vermehrte Anreicherung in einem Lymphknoten im Mediastinum."
)
FRENCH = (
    "Absence de foyer hypermétabolique au niveau du foie. La rate est normale, sans lésion. "
    "Ganglion médiastinal avec une fixation modérée dans la loge de Baréty."
)
SPANISH = (
    "No se observan focos hipermetabólicos en el hígado. El bazo es normal y sin lesiones. "
    "Adenopatías mediastínicas con captación patológica."
)
CHINESE = "肝脏未见异常放射性摄取增高。脾脏正常。纵隔淋巴结代谢增高。"

UNREAD = {
    "not English": [GERMAN, FRENCH, SPANISH, CHINESE],
    "elsewhere": ["See separate report.", "Please refer to the attached PDF document."],
    "empty": ["", " \n\t "],
    "binary": ["%PDF-1.4 liver", "PK\x03\x04 liver", "\x00\x01\x02liver\ufffd\ufffd"],
    "no region": ["FINDINGS: Normal study.", "Nothing to report today."],
    "no findings": ["INDICATION: liver metastases"],
}


@pytest.mark.parametrize(("status", "text"), [(s, text) for s in UNREAD for text in UNREAD[s]])
def test_text_that_cannot_be_read_has_the_reason_and_no_mention(status: str, text: str) -> None:
    items, found = read_report("e1", text, SentenceTagger(ONTOLOGY))
    assert found.status == status
    assert found.message
    assert items == []


@pytest.mark.parametrize(
    "text",
    [
        "Neck: nl. Chest: nl. Abd: nl. Liver nl.",
        "R hilar LN 1.4 cm SUV 7. Spleen < liver.",
        "Uptake along the A. iliaca interna in the liver, likely metastasis of the Ca. recti.",
        "Diffuse uptake in der liver? No. The spleen is normal.",
    ],
)
def test_terse_english_is_read(text: str) -> None:
    items, found = read_report("e1", text, SentenceTagger(ONTOLOGY))
    assert (found.status, found.message) == ("labeled", "")
    assert items


def test_share_tells_what_was_not_assigned() -> None:
    text = "INDICATION: Cough.\nFINDINGS: The liver is normal."
    assert report_status(text).read_share == 1.0
    assert math.isnan(report_status("").read_share)


def test_small_words_decide_only_where_they_prevail() -> None:
    assert is_english("The patient has no die and no der.")
    assert not is_english("Der Patient hat keine Läsion und ist ohne Befund.")


def test_sections_are_shown_with_what_is_not_read() -> None:
    shown = show_sections("HISTORY: cough.\n\nThe liver is normal.\n\nIMPRESSION: Normal.")
    assert shown.splitlines() == [
        "HISTORY:",
        "==== history (not read)",
        " cough.",
        "==== findings",
        "The liver is normal.",
        "IMPRESSION:",
        "==== impression",
        " Normal.",
    ]
