"""Predictions that another labeler wrote (a language model, say), to be scored beside ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import AnnotatedText
from petct_ext.reports.repeats import in_order
from petct_ext.reports.rows import read_text_rows

__all__ = ["GivenPredictions", "read_other_predictions"]

_REQUIRED: Final = ("exam_id", "region", "probability")


class GivenPredictions:
    """Mentions that were predicted elsewhere.

    Args:
        rows: by text; each with ``start``, ``end``, ``region`` and ``probability``.
    """

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.rows = {name: [dict(row) for row in given] for name, given in rows.items()}

    def predict(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns one row of the table MENTIONS per mention of the items.

        A mention has the highest probability that was given to its region in words that touch it,
        and 0 if there is none.

        Args:
            items: see :mod:`petct_ext.reports.items`.
        """
        found = []
        for item in items:
            for mention in item["mentions"]:
                place = {name: mention[name] for name in ("start", "end", "region")}
                of_item = {name: item[name] for name in ("exam_id", "section", "sentence")}
                probability = max(
                    (
                        row["probability"]
                        for row in self.found(item["exam_id"])
                        if row["region"] == mention["region"]
                        and row["start"] < mention["end"]
                        and mention["start"] < row["end"]
                    ),
                    default=0.0,
                )
                found.append({**of_item, **place, "probability": probability})
        return in_order(found)

    def found(self, text_id: str) -> list[dict[str, Any]]:
        """Returns what was predicted for a text, whatever our own tagger finds there."""
        return self.rows.get(text_id, [])


def read_other_predictions(
    path: str | Path, texts: Sequence[AnnotatedText], ontology: RegionOntology
) -> GivenPredictions:
    """Reads a table in the columns of our ``mentions.csv``.

    Args:
        path: CSV with ``exam_id`` (the id of a text), ``region``, ``probability`` in [0, 1], and
            either ``start`` and ``end`` (offsets in the text) or ``quotation``, words that occur in
            the text (white space and case aside); the first place counts that has not been used for
            this region.
        texts: annotated texts.
        ontology: knows the regions.

    Raises:
        InputDataError: if a column is missing or a row is wrong; names the line, not the text.
    """
    path = Path(path)
    source = read_text_rows(path) if path.is_file() else None
    if source is None or not source.header:
        raise InputDataError(
            f"{path} cannot be read as CSV; give exam_id, region, probability, and start and end "
            "or quotation."
        )
    _require_columns(path, source.header)
    known = {text.text_id: text.text for text in texts}
    rows: dict[str, list[dict[str, Any]]] = {}
    for line, fields, problem in source.rows:
        try:
            if problem:
                raise InputDataError(problem)
            row = dict(zip(source.header, fields, strict=True))
            entry = _entry(row, known, rows, ontology)
        except (InputDataError, ValueError) as error:
            raise InputDataError(f"{path}, line {line}: {error}") from None
        rows.setdefault(row["exam_id"], []).append(entry)
    return GivenPredictions(rows)


def _require_columns(path: Path, header: Sequence[str]) -> None:
    missing = [name for name in _REQUIRED if name not in header]
    if not ({"start", "end"} <= set(header) or "quotation" in header):
        missing.append("start and end, or quotation")
    if missing:
        raise InputDataError(
            f"{path} lacks {', '.join(missing)}; it has {', '.join(header)[:200]}."
        )


def _entry(
    row: Mapping[str, str],
    texts: Mapping[str, str],
    before: Mapping[str, Sequence[Mapping[str, Any]]],
    ontology: RegionOntology,
) -> dict[str, Any]:
    name, region = row["exam_id"], row["region"]
    if name not in texts:
        hint = did_you_mean(name, texts)
        raise InputDataError(f"no annotated text has the id {name!r}.{hint}")
    if region not in ontology:
        raise InputDataError(f"{region!r} is not a region.{did_you_mean(region, ontology)}")
    if not row["probability"].strip():
        raise InputDataError("the probability is missing.")
    probability = float(row["probability"])
    if not 0 <= probability <= 1:
        raise InputDataError(f"probability {probability:g} lies outside 0 to 1.")
    if row.get("start", "").strip() and row.get("end", "").strip():
        start, end = int(float(row["start"])), int(float(row["end"]))
        if not 0 <= start < end <= len(texts[name]):
            raise InputDataError(
                f"offsets {start} to {end} lie outside the text of {len(texts[name])} characters."
            )
    else:
        used = {(r["start"], r["end"]) for r in before.get(name, ()) if r["region"] == region}
        start, end = _quoted(row.get("quotation", ""), texts[name], used)
    return {"start": start, "end": end, "region": region, "probability": probability}


def _quoted(quotation: str, text: str, used: set[tuple[int, int]]) -> tuple[int, int]:
    words = quotation.split()
    if not words:
        raise InputDataError("neither start and end nor a quotation is given.")
    pattern = re.compile(r"\s+".join(map(re.escape, words)), flags=re.IGNORECASE)
    places = [match.span() for match in pattern.finditer(text)]
    if not places:
        raise InputDataError(
            f"the quotation of {len(quotation)} characters does not occur in the text; quote its "
            "words unchanged."
        )
    return next((place for place in places if place not in used), places[-1])
