"""Sentences become tokens and token logits become probabilities of mentions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.keys import (
    MENTION_LABEL,
    MENTION_PLACES,
    MENTION_PROB,
    MENTION_RULE,
    MENTION_TOKENS,
    REFERENCE,
    TOKEN_IDS,
)
from petct_ext.labeler.tokens import (
    MentionProbabilitiesd,
    TokenizeReportd,
    blend_with_rules,
    mention_probabilities,
)
from petct_ext.labeler.vocabulary import learn_vocabulary

TEXT = "Uptake in the liver and in the spleen."
TOKENIZER = learn_vocabulary([TEXT] * 5, size=120)


def item(**mentions: float | None) -> dict[str, Any]:
    return {
        "exam_id": "a",
        "section": "findings",
        "sentence": 2,
        "text": TEXT,
        "offset": 100,
        "mentions": [
            {
                "start": 100 + TEXT.index(word),
                "end": 100 + TEXT.index(word) + len(word),
                "region": word,
                "label": label,
                "rule": 0.5,
            }
            for word, label in mentions.items()
        ],
    }


def test_tokens_of_a_mention_are_its_words() -> None:
    (window,) = TokenizeReportd(TOKENIZER)(item(liver=1, spleen=None))
    tokens = [str(TOKENIZER.id_to_token(i)) for i in window[TOKEN_IDS]]
    words = ["".join(tokens[a:b]).replace("##", "") for a, b in window[MENTION_TOKENS]]
    assert words == ["liver", "spleen"]
    assert window[MENTION_LABEL][0] == 1.0
    assert math.isnan(window[MENTION_LABEL][1])
    assert window[MENTION_RULE] == [0.5, 0.5]


def test_places_of_mentions_stay_those_in_the_report() -> None:
    (window,) = TokenizeReportd(TOKENIZER)(item(liver=0))
    assert window[MENTION_PLACES] == [
        {
            "exam_id": "a",
            "section": "findings",
            "sentence": 2,
            "start": 114,
            "end": 119,
            "region": "liver",
        }
    ]


def test_long_sentence_becomes_windows_that_keep_every_mention() -> None:
    windows = TokenizeReportd(TOKENIZER, max_length=7)(item(liver=0, spleen=1))
    assert len(windows) == 2
    assert [m["region"] for w in windows for m in w[MENTION_PLACES]] == ["liver", "spleen"]


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=12), st.data())
def test_probability_is_the_mean_over_the_word_pieces(
    values: list[float], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first + 1, len(values)))
    logits = torch.tensor(values)[None, None]
    (found,) = mention_probabilities(logits, torch.tensor([[0, first, last]])).tolist()
    expected = sum(1 / (1 + math.exp(-x)) for x in values[first:last]) / (last - first)
    assert found == pytest.approx(expected, abs=1e-6)


def test_batch_without_mentions_gives_no_probabilities() -> None:
    empty = torch.zeros(0, 3, dtype=torch.int64)
    assert mention_probabilities(torch.zeros(2, 1, 5), empty).shape == (0,)


def test_postprocessing_adds_probabilities_and_their_reference() -> None:
    label = torch.tensor([[1.0]])
    data = {"pred": torch.zeros(1, 1, 4), MENTION_TOKENS: torch.tensor([[0, 1, 3]])}
    result = MentionProbabilitiesd()({**data, MENTION_LABEL: label})
    assert result[MENTION_PROB].tolist() == [[0.5]]
    assert result[REFERENCE] is label


def test_rules_shift_an_uncertain_network_only_so_far() -> None:
    blend = torch.tensor([1.0, 0.5, 0.0])
    network = torch.tensor([0.5, 0.999, 0.5])
    rules = torch.tensor([1.0, 0.0, 0.5])
    mixed = blend_with_rules(network, rules, blend)
    assert 0.8 < mixed[0] < 0.95
    assert mixed[1] > 0.95
    assert mixed[2] == pytest.approx(0.5)


def test_network_alone_is_left_as_it_is() -> None:
    network = torch.tensor([0.0, 0.3, 1.0])
    assert torch.equal(
        blend_with_rules(network, torch.ones(3), torch.tensor([1.0, 0.0, 0.0])), network
    )
