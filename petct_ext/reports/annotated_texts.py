"""Annotated report texts in JSON lines: ``id, text, mentions [{start, end, region, abnormal}]``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError
from petct_ext.reports.items import annotated_items

__all__ = ["AnnotatedText", "items_of_texts", "read_annotated_texts"]


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A report, or an excerpt of one, with the mentions that a reader has judged.

    Attributes:
        text_id: name of the text; where the file has none, its line number.
        text: unchanged.
        mentions: ``(start, end, region, abnormal)``, offsets into ``text``, abnormal 0 or 1.
    """

    text_id: str
    text: str
    mentions: tuple[tuple[int, int, str, int], ...]


def read_annotated_texts(path: str | Path) -> list[AnnotatedText]:
    """Reads a JSON lines file of annotated reports.

    Raises:
        InputDataError: if the file is missing or a line is wrong; names the line, not the text.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputDataError(
            f"{path} cannot be read ({type(error).__name__}); give a JSONL file of annotated "
            "reports in UTF-8."
        ) from None
    texts = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            texts.append(_parse(line, number, path))
    if not texts:
        raise InputDataError(f"{path} holds no text; give one JSON object a line.")
    return texts


def items_of_texts(texts: Sequence[AnnotatedText]) -> tuple[list[dict[str, Any]], int]:
    """Returns the judged sentences of all texts and the number of mentions in other sections.

    Args:
        texts: see :func:`read_annotated_texts`; ``text_id`` becomes ``exam_id``.
    """
    items, outside = [], 0
    for text in texts:
        found, unused = annotated_items(text.text_id, text.text, text.mentions)
        items.extend(found)
        outside += unused
    return items, outside


def _parse(line: str, number: int, path: Path) -> AnnotatedText:
    try:
        document: Mapping[str, Any] = json.loads(line)
        mentions = tuple(
            (int(m["start"]), int(m["end"]), str(m["region"]), int(m["abnormal"]))
            for m in document["mentions"]
        )
        return AnnotatedText(str(document.get("id", number)), str(document["text"]), mentions)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputDataError(
            f"{path}, line {number}: {type(error).__name__} ({error}); expected an object with "
            "text and mentions [{start, end, region, abnormal}]."
        ) from None
