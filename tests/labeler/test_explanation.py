"""Masking a word shows what it does to the probability, and the page shows that safely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.explanation import (
    ExplainedMention,
    explain_mentions,
    summarize_words,
)
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.pages.labeler import inspect_labeler, render_sentences
from tests.labeler.tiny_labeler import ORGANS, load_labeler, sentence

MENTION = ExplainedMention(
    "e1", "left_lung", "A <b>mass</b> & more.", 5, 9, 0.9, 0, ((0, 1, -0.3), (5, 9, 0.6))
)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> ReportPredictor:
    return load_labeler(tmp_path_factory.mktemp("labeler"))


def effects(mention: ExplainedMention) -> dict[str, float]:
    return {mention.text[a:b]: effect for a, b, effect in mention.words}


def test_the_probability_is_that_of_the_predictor(predictor: ReportPredictor) -> None:
    items = [sentence(o, abnormal=y) for o in ORGANS for y in (False, True)]
    rows = {(r["exam_id"], r["start"]): r["probability"] for r in predictor.predict(items)}
    for item in items:
        [mention] = explain_mentions(predictor, item, batch_size=3)
        expected = rows[item["exam_id"], mention.start + 100]
        assert mention.probability == pytest.approx(expected, abs=1e-5)


def test_words_that_tell_the_classes_apart_have_the_effects(predictor: ReportPredictor) -> None:
    [abnormal] = explain_mentions(predictor, sentence("liver", abnormal=True))
    [normal] = explain_mentions(predictor, sentence("liver", abnormal=False))
    assert abnormal.probability > 0.9 > 0.1 > normal.probability
    assert list(effects(abnormal)) == ["Intense", "mass", "in", "the", "liver"]
    assert effects(abnormal)["mass"] + effects(abnormal)["Intense"] > 0
    assert sum(effects(normal)[word] for word in ("There", "is", "no", "uptake")) < 0


def test_all_mentions_of_a_sentence_are_explained(predictor: ReportPredictor) -> None:
    item = sentence("liver", abnormal=True)
    word = {**item["mentions"][0], "start": 108, "end": 112, "region": "body", "label": 1}
    item["mentions"].append(word)
    explained = explain_mentions(predictor, item)
    assert {(m.region, m.text[m.start : m.end], m.label) for m in explained} == {
        ("liver", "liver", None),
        ("body", "mass", 1),
    }


@pytest.mark.parametrize(
    ("probability", "label", "error"),
    [(0.9, 1, 0.1), (0.9, 0, 0.9), (0.5, None, 1.0), (1.0, None, 0.0)],
)
def test_the_error_is_the_distance_to_the_label_or_the_uncertainty(
    probability: float, label: int | None, error: float
) -> None:
    mention = replace(MENTION, probability=probability, label=label)
    assert mention.error == pytest.approx(error)


def test_effects_of_a_word_are_averaged() -> None:
    other = replace(MENTION, text="A <b>Mass</b> & more.", words=((5, 9, 0.2),))
    table = summarize_words([MENTION, other], min_count=2)
    assert table.to_dict("records") == [
        {"word": "mass", "num_mentions": 2, "mean_effect": 0.4, "largest_effect": 0.6}
    ]


def test_the_page_escapes_text_and_marks_wrong_answers() -> None:
    page = render_sentences([MENTION, replace(MENTION, label=None)], title="<x>")
    assert page.count('<tr class="wrong">') == 1
    assert "1 of the 1 judged ones are on the wrong side" in page
    assert '&lt;b&gt;<span style="background:rgba(213,94,0,0.75)"' in page
    assert 'title="without this word 0.30"><u>mass</u></span>&lt;/b&gt; &amp; more.' in page
    assert "<b>" not in page
    assert "<x>" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_folder_is_written_worst_mentions_first(
    predictor: ReportPredictor, tmp_path: Path
) -> None:
    items = [sentence(o, abnormal=True, label=int(o != "spleen")) for o in ORGANS]
    page = inspect_labeler(predictor, items, tmp_path / "out", num_mentions=2).read_text()
    assert page.count("<tr class") == 1
    assert page.index("e-spleen") < page.index("judged abnormal")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "attention_by_group.csv",
        "attention_by_group.png",
        "attention_by_group.svg",
        "sentences.html",
        "word_effects.csv",
    ]


def test_of_many_sentences_some_are_drawn_by_the_seed(
    predictor: ReportPredictor, tmp_path: Path
) -> None:
    items = [sentence(o, abnormal=True) for o in ORGANS]
    pages = [
        inspect_labeler(predictor, items, tmp_path / "out", max_sentences=2, seed=s).read_text()
        for s in (1, 1)
    ]
    assert pages[0] == pages[1]
    assert pages[0].count("<small>") == 2


def test_nothing_to_inspect_is_told(predictor: ReportPredictor, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="there is no sentence with a mention"):
        inspect_labeler(predictor, [], tmp_path)
