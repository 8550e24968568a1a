"""Attention by groups is a share of the whole, and every token is in one group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.figures.labeler_attention import draw_attention_by_group
from petct_ext.figures.style import save_figure
from petct_ext.labeler.attention import (
    GROUPS,
    WordGroups,
    attention_by_group,
    token_offsets,
)
from petct_ext.labeler.prediction import ReportPredictor
from tests.labeler.tiny_labeler import LAYERS, ORGANS, load_labeler, sentence


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> ReportPredictor:
    return load_labeler(tmp_path_factory.mktemp("labeler"))


def test_shares_of_a_layer_sum_to_one(predictor: ReportPredictor) -> None:
    table = attention_by_group(predictor, [sentence(o, abnormal=True) for o in ORGANS])
    assert len(table) == LAYERS * len(GROUPS)
    sums = table.groupby("layer")[["attention", "expected"]].sum().to_numpy()
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)
    present = table[table["layer"] == 1].set_index("group")["num_mentions"]
    assert present["the mention itself"] == len(ORGANS)
    assert present["negation"] == 0
    assert present["qualifiers"] == len(ORGANS)


def test_uniform_attention_is_what_chance_gives(predictor: ReportPredictor) -> None:
    kept = {name: p.detach().clone() for name, p in predictor.network.named_parameters()}
    for name, parameter in predictor.network.named_parameters():
        if "attention.self" in name and "value" not in name:
            parameter.data.zero_()
    try:
        table = attention_by_group(predictor, [sentence("liver", abnormal=False)])
    finally:
        for name, parameter in predictor.network.named_parameters():
            parameter.data.copy_(kept[name])
    np.testing.assert_allclose(table["attention"], table["expected"], atol=1e-6)


def test_the_encoder_is_left_as_it_was(predictor: ReportPredictor) -> None:
    before = predictor.network.encoder.config._attn_implementation
    attention_by_group(predictor, [sentence("liver", abnormal=False)])
    assert predictor.network.encoder.config._attn_implementation == before


def test_the_mention_and_other_mentions_are_told_from_other_words() -> None:
    text = "No mass in the liver or the left kidney."
    offsets = [(0, 0), (0, 2), (3, 7), (15, 18), (18, 20), (28, 32), (33, 39), (39, 40), (0, 0)]
    found = WordGroups.default().of_tokens(text, offsets, (15, 20), others=[(15, 20), (28, 39)])
    special, mention = "[CLS], [SEP]", "the mention itself"
    expected = [special, "negation", "physical features", mention, mention, "anatomy", "anatomy"]
    assert found == [*expected, "punctuation, numbers", special]


@given(st.text(max_size=30))
def test_every_token_is_in_a_known_group(text: str) -> None:
    offsets = [(i, i + 1) for i in range(len(text))]
    named = WordGroups.default().of_tokens(text, offsets, (0, 1))
    assert len(named) == len(offsets)
    assert set(named) <= set(GROUPS)


def test_no_mention_is_told(predictor: ReportPredictor) -> None:
    with pytest.raises(InputDataError, match="there is no mention whose attention"):
        attention_by_group(predictor, [])


def test_the_picture_is_drawn(predictor: ReportPredictor, tmp_path: Path) -> None:
    table = attention_by_group(predictor, [sentence("liver", abnormal=False)])
    svg, png = save_figure(draw_attention_by_group(table), tmp_path / "attention")
    assert svg.stat().st_size > 1000
    assert png.stat().st_size > 1000


def test_offsets_of_a_window_in_a_long_sentence_slice_the_sentence(
    predictor: ReportPredictor,
) -> None:
    text = "There is no uptake in the spleen. " * 30 + "Mass in the liver."
    start = 100 + text.index("liver")
    item = sentence("liver", abnormal=True)
    item |= {"text": text, "mentions": [{**item["mentions"][0], "start": start, "end": start + 5}]}
    predictor.tokenize.max_length, before = 24, predictor.tokenize.max_length
    try:
        [window] = predictor.tokenize(item)
    finally:
        predictor.tokenize.max_length = before
    offsets = token_offsets(predictor.tokenize.tokenizer, text, window["token_ids"])
    first, last = window["mention_tokens"][0]
    assert text[offsets[first][0] : offsets[last - 1][1]] == "liver"
    assert offsets[0] == offsets[-1] == (0, 0)
    with pytest.raises(InputDataError, match="is not part of its sentence"):
        token_offsets(predictor.tokenize.tokenizer, "Liver.", window["token_ids"])
