"""Characters and tokens correspond exactly; nothing is cut silently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from petct_ext.errors import InputDataError
from petct_ext.labeler.tokens import split_windows, token_span
from petct_ext.labeler.vocabulary import learn_vocabulary

TEXT = "uptake in the left hilar node and liver with SUVmax 3.5 is not seen"
WORDS = TEXT.split()
TOKENIZER: Tokenizer = learn_vocabulary([TEXT] * 5, size=200, min_frequency=1)


def test_token_span_covers_every_piece_of_the_words() -> None:
    encoding = TOKENIZER.encode("Left hilar node.", add_special_tokens=False)
    first, last = token_span(encoding.offsets, 5, 15)
    assert (encoding.offsets[first][0], encoding.offsets[last - 1][1]) == (5, 15)


def test_words_without_a_token_are_refused() -> None:
    with pytest.raises(InputDataError, match="no token lies at characters 7 to 8"):
        token_span([(0, 4)], 7, 8)


def test_short_sentence_is_one_window_with_special_tokens() -> None:
    (window,) = split_windows(TOKENIZER, "Left hilar node", [(0, 4)], max_length=32)
    assert window.token_ids[0] == TOKENIZER.token_to_id("[CLS]")
    assert window.token_ids[-1] == TOKENIZER.token_to_id("[SEP]")
    assert window.mentions == ((0, 1, 2),)


def test_mention_longer_than_a_window_is_refused() -> None:
    text = "left hilar node " * 10
    with pytest.raises(InputDataError, match="does not fit into a window of 6; raise max_length"):
        split_windows(TOKENIZER, text, [(0, len(text) - 1)], max_length=8)


@given(st.data())
def test_every_mention_lies_whole_in_exactly_one_window(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
    text = " ".join(words)
    starts = [sum(len(w) + 1 for w in words[:i]) for i in range(len(words))]
    chosen = sorted(data.draw(st.sets(st.integers(0, len(words) - 1), max_size=6)))
    spans = [(starts[i], starts[i] + len(words[i])) for i in chosen]
    windows = split_windows(TOKENIZER, text, spans, max_length=12)
    placed = [(index, window) for window in windows for index in window.mentions]
    assert sorted(mention[0] for mention, _ in placed) == list(range(len(spans)))
    ids = TOKENIZER.encode(text, add_special_tokens=False)
    for (index, first, last), window in placed:
        a, b = token_span(ids.offsets, *spans[index])
        assert list(window.token_ids[first:last]) == ids.ids[a:b]
        assert len(window.token_ids) <= 12
