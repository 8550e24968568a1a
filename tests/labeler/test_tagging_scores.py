"""Recall and precision of the tagger against marked mentions."""

from __future__ import annotations

import math

from petct_ext.labeler.comparison import score_tagging
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import AnnotatedText

TEXT = "HISTORY: Lung cancer.\nFINDINGS: Avid left lung and liver. The flimflam is normal."


def marked(*pairs: tuple[str, str]) -> AnnotatedText:
    mentions = tuple(
        (TEXT.index(words), TEXT.index(words) + len(words), region, 1) for words, region in pairs
    )
    return AnnotatedText("a", TEXT, mentions)


def scores(text: AnnotatedText) -> dict[str, dict[str, float]]:
    table = score_tagging([text], RegionOntology.default(), draws=10)
    rows = {str(row["what"]): row for row in table.to_dict("records")}
    names = ("num", "value", "low", "high")
    return {what: {name: float(row[name]) for name in names} for what, row in rows.items()}


def test_words_found_related_and_missed_are_counted() -> None:
    found = scores(marked(("left lung", "lungs"), ("liver", "liver"), ("flimflam", "spleen")))
    assert math.isclose(found["recall"]["value"], 1 / 3)
    assert math.isclose(found["recall_related"]["value"], 2 / 3)
    assert found["precision"]["value"] == 1.0


def test_history_is_not_asked_for_and_unmarked_words_cost_precision() -> None:
    found = scores(marked(("Lung", "lungs"), ("liver", "liver")))
    assert found["recall"] == {"num": 1, "value": 1.0, "low": 1.0, "high": 1.0}
    assert found["precision"]["value"] == 0.5
