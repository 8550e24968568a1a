"""A sentence that occurs many times is labeled once, and no mention of it is lost."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from petct_ext.reports.repeats import join_repeats, place_of_mention, rows_of_mentions

WORDS = ("Liver clear.", "Avid liver.", "Spleen large.")


def item(exam: int, number: int, words: str, offset: int) -> dict[str, Any]:
    start = offset + words.lower().index("l")
    mention = {"start": start, "end": start + 2, "region": "liver", "label": None, "rule": 0.5}
    place = {"exam_id": f"e{exam}", "section": "findings", "sentence": number, "offset": offset}
    return {**place, "text": words, "mentions": [mention]}


def rows(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    places = [place_of_mention(i, m) for i in items for m in i["mentions"]]
    texts = [i["text"] for i in items for _ in i["mentions"]]
    found = rows_of_mentions(places, [len(text) / 100 for text in texts])
    return sorted(found, key=lambda row: (row["exam_id"], row["sentence"], row["start"]))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(WORDS), st.integers(0, 9))))
def test_joined_sentences_give_the_rows_of_all(drawn: list[tuple[int, str, int]]) -> None:
    items = [item(exam, i, words, offset) for i, (exam, words, offset) in enumerate(drawn)]
    joined = join_repeats(items)
    assert len(joined) == len({i["text"] for i in items})
    assert rows(joined) == rows(items)


def test_same_words_with_other_mentions_are_kept_apart() -> None:
    first, second = item(0, 0, WORDS[0], 0), item(1, 0, WORDS[0], 0)
    second["mentions"][0]["rule"] = 0.1
    third = item(2, 0, WORDS[0], 0)
    third["mentions"].append({**third["mentions"][0], "region": "spleen"})
    assert [i["exam_id"] for i in join_repeats([first, second, third])] == ["e0", "e1", "e2"]


def test_items_that_are_joined_do_not_change() -> None:
    items = [item(0, 0, WORDS[0], 0), item(1, 0, WORDS[0], 7)]
    join_repeats(items)
    assert "copies" not in items[0]
