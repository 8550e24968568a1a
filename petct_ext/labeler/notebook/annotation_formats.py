"""Judged mentions in the formats of other tools: Label Studio, doccano, and our ANNOTATIONS.

Label Studio and doccano need the text, so their files hold whole reports and the study UIDs: keep
them as private as ``reports.csv``. Files of answers and the table ANNOTATIONS hold no text.

- Label Studio JSON (https://labelstud.io/guide/task_format): a task per report with
  ``data.text``; a mention is a ``labels`` result with ``start``, ``end`` and the region, and a
  ``choices`` result with the same id (``perRegion``) holds the answer. :func:`labeling_config` is
  the labeling interface that belongs to it.
- doccano JSONL (sequence labeling): a report a line with ``text`` and ``label``, a list of
  ``[start, end, "region|answer"]``. A project with relations exports ``entities`` with
  ``start_offset`` and ``end_offset`` instead, which are read as well.

Offsets of both count characters from 0, ``end`` being one past the last. Every mention is checked
against the report when it is read: a tool may have changed line ends or counted emojis as two.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.labeler.notebook.answers import Answer, Judgement, hash_of_text
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import ANNOTATIONS

__all__ = [
    "annotation_table",
    "doccano_lines",
    "label_studio_tasks",
    "labeling_config",
    "read_annotation_table",
    "read_doccano",
    "read_label_studio",
]

_LABELS: Final = "region"
_CHOICES: Final = "answer"
_TEXT: Final = "text"
_BETWEEN: Final = "|"


def annotation_table(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """Returns the table ANNOTATIONS, sorted; skipped and wrongly tagged mentions are left out."""
    rows = [(*j.key, j.answer.abnormal) for j in judgements if j.answer.abnormal is not None]
    return pd.DataFrame(sorted(rows), columns=list(ANNOTATIONS.columns))


def read_annotation_table(table: pd.DataFrame, texts: Mapping[str, str]) -> list[Judgement]:
    """Returns the judgements of a table ANNOTATIONS.

    Raises:
        InputDataError: if a study has no report, or offsets lie outside of it.
    """
    return [
        _judgement(
            row[0],
            (row[1], row[2]),
            str(row[3]),
            Answer.POSITIVE if row[4] == 1 else Answer.NEUTRAL_OR_NEGATIVE,
            texts=texts,
        )
        for row in table[list(ANNOTATIONS.columns)].itertuples(index=False)
    ]


def labeling_config(ontology: RegionOntology) -> str:
    """Returns the labeling interface for a Label Studio project (its ``Code`` tab)."""
    regions = "".join(f'    <Label value="{escape(name)}"/>\n' for name in ontology)
    answers = "".join(f'    <Choice value="{answer.value}"/>\n' for answer in Answer)
    return (
        f'<View>\n  <Labels name="{_LABELS}" toName="{_TEXT}">\n{regions}  </Labels>\n'
        f'  <Text name="{_TEXT}" value="$text" granularity="symbol"/>\n'
        f'  <Choices name="{_CHOICES}" toName="{_TEXT}" perRegion="true" required="true">\n'
        f"{answers}  </Choices>\n</View>\n"
    )


def label_studio_tasks(
    judgements: Iterable[Judgement], texts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Returns a task per judged report, with its text.

    Raises:
        InputDataError: if a report is missing or was changed after it was judged.
    """
    return [
        {
            "data": {_TEXT: texts[study], "study_instance_uid": study},
            "annotations": [
                {"result": [r for i, j in enumerate(own) for r in _results(j, i, texts[study])]}
            ],
        }
        for study, own in _by_report(judgements, texts).items()
    ]


def read_label_studio(
    tasks: Any, texts: Mapping[str, str], ontology: RegionOntology
) -> list[Judgement]:
    """Returns the judgements of an export of Label Studio (format JSON, not JSON-MIN).

    The last annotation of each task that was not cancelled counts. Mentions without a choice are
    left out: they were not judged.

    Args:
        tasks: the parsed file.
        texts: report of each study.
        ontology: to check the regions.

    Raises:
        InputDataError: if the file has another form, a region is unknown, or a mention does not
            lie where the file says; names the task, not the text.
    """
    if not isinstance(tasks, list):
        raise InputDataError("Label Studio: the file holds no list of tasks; export it as JSON.")
    found: list[Judgement] = []
    for number, task in enumerate(tasks, start=1):
        try:
            found.extend(_read_task(task, texts, ontology))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, InputDataError):
                raise InputDataError(f"Label Studio, task {number}: {error}") from None
            raise InputDataError(
                f"Label Studio, task {number} has not the form of labeling_config() "
                f"({type(error).__name__}: {error}); export the project as JSON."
            ) from None
    return found


def doccano_lines(judgements: Iterable[Judgement], texts: Mapping[str, str]) -> str:
    """Returns JSONL for a sequence labeling project, one report a line, with its text.

    Raises:
        InputDataError: if a report is missing or was changed after it was judged.
    """
    lines = [
        {
            "text": texts[study],
            "label": [[j.start, j.end, f"{j.region}{_BETWEEN}{j.answer.value}"] for j in own],
            "study_instance_uid": study,
        }
        for study, own in _by_report(judgements, texts).items()
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_doccano(
    content: str, texts: Mapping[str, str], ontology: RegionOntology
) -> list[Judgement]:
    """Returns the judgements of an export of doccano (JSONL).

    Args:
        content: the file's text.
        texts: report of each study.
        ontology: to check the regions.

    Raises:
        InputDataError: as in :func:`read_label_studio`; names the line.
    """
    found: list[Judgement] = []
    # Not splitlines(), which would also split at line separators inside of a report.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.extend(_read_line(json.loads(line), texts, ontology))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputDataError):
                raise InputDataError(f"doccano, line {number}: {error}") from None
            raise InputDataError(
                f"doccano, line {number} is no report of a sequence labeling project "
                f"({type(error).__name__}); export it as JSONL."
            ) from None
    return found


def _read_task(
    task: Mapping[str, Any], texts: Mapping[str, str], ontology: RegionOntology
) -> list[Judgement]:
    study = _study(task["data"], texts)
    kept = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    if not kept:
        return []
    results = kept[-1]["result"]
    answers = {r["id"]: r["value"]["choices"][0] for r in results if r["type"] == "choices"}
    found = []
    for result in results:
        if result["type"] != "labels" or result["id"] not in answers:
            continue
        value = result["value"]
        region = _region(value["labels"][0], ontology)
        span = (value["start"], value["end"])
        answer = _answer(answers[result["id"]])
        words = value.get("text")
        found.append(_judgement(study, span, region, answer, texts=texts, words=words))
    return found


def _read_line(
    line: Mapping[str, Any], texts: Mapping[str, str], ontology: RegionOntology
) -> list[Judgement]:
    study = _study(line, texts)
    spans = line.get("label", line.get("labels"))
    if spans is None:
        entities = line["entities"]
        spans = [(e["start_offset"], e["end_offset"], e["label"]) for e in entities]
    found = []
    for start, end, name in spans:
        region, between, answer = str(name).partition(_BETWEEN)
        if not between:
            raise InputDataError(
                f"label {name!r} is not of the form region{_BETWEEN}answer; import the file that "
                "scripts/convert_annotations.py writes, so that doccano has such labels."
            )
        judged = _answer(answer)
        found.append(
            _judgement(study, (start, end), _region(region, ontology), judged, texts=texts)
        )
    return found


def _study(data: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    study = str(data["study_instance_uid"])
    if study not in texts:
        raise InputDataError("its study is not in reports.csv; give the cohort it comes from.")
    # White space and line ends are what tools change; then no offset after it would be right.
    if data[_TEXT] != texts[study]:
        raise InputDataError(
            f"its text ({len(data[_TEXT])} characters) is not that of reports.csv "
            f"({len(texts[study])}), so offsets would be wrong; import the unchanged text."
        )
    return study


def _judgement(
    study: str,
    span: Sequence[Any],
    region: str,
    answer: Answer,
    *,
    texts: Mapping[str, str],
    words: str | None = None,
) -> Judgement:
    if study not in texts:
        raise InputDataError("a judged study is not in reports.csv; give the cohort it comes from.")
    text = texts[study]
    start, end = int(span[0]), int(span[1])
    inside = 0 <= start < end <= len(text)
    if not inside or (words is not None and words != text[start:end]):
        raise InputDataError(
            f"offsets {start} to {end} do not mark the judged words in a report of {len(text)} "
            "characters; the text was changed, or the tool counts its characters differently."
        )
    return Judgement(study, start, end, region, answer, hash_of_text(text))


def _region(name: Any, ontology: RegionOntology) -> str:
    if name not in ontology:
        raise InputDataError(
            f"{name!r} is no region of the ontology.{did_you_mean(str(name), ontology)}"
        )
    return str(name)


def _answer(value: Any) -> Answer:
    try:
        return Answer(value)
    except ValueError:
        raise InputDataError(
            f"{value!r} is no answer; known are {', '.join(answer.value for answer in Answer)}."
        ) from None


def _results(judgement: Judgement, number: int, text: str) -> list[dict[str, Any]]:
    span = {"start": judgement.start, "end": judgement.end}
    words = text[judgement.start : judgement.end]
    common = {"id": f"mention{number}", "to_name": _TEXT, "origin": "manual"}
    labels = {**span, "text": words, "labels": [judgement.region]}
    choices = {**span, "text": words, "choices": [judgement.answer.value]}
    return [
        {**common, "from_name": _LABELS, "type": "labels", "value": labels},
        {**common, "from_name": _CHOICES, "type": "choices", "value": choices},
    ]


def _by_report(
    judgements: Iterable[Judgement], texts: Mapping[str, str]
) -> dict[str, list[Judgement]]:
    reports: dict[str, list[Judgement]] = {}
    for judgement in sorted(judgements, key=lambda j: j.key):
        study = judgement.study_instance_uid
        # Checks the offsets, too.
        span = (judgement.start, judgement.end)
        now = _judgement(study, span, judgement.region, judgement.answer, texts=texts)
        if judgement.text_hash not in ("", now.text_hash):
            raise InputDataError(
                "a judged report has another text now, so that offsets would be wrong; give the "
                "reports.csv that was labelled."
            )
        reports.setdefault(study, []).append(judgement)
    return reports
