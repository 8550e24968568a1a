"""Judgements survive Label Studio and doccano; what does not fit the reports is refused."""

from __future__ import annotations

import json
import runpy
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.labeler.notebook import Answer, AnswerFile, Judgement
from petct_ext.labeler.notebook.annotation_formats import (
    annotation_table,
    doccano_lines,
    label_studio_tasks,
    labeling_config,
    read_annotation_table,
    read_doccano,
    read_label_studio,
)
from petct_ext.labeler.notebook.answers import hash_of_text
from petct_ext.labeler.notebook.conversion import Format, convert_annotations
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import ANNOTATIONS, read_table
from tests.conftest import REPOSITORY
from tests.reports.phantom_reports import write_phantom_reports

SCRIPT = REPOSITORY / "scripts" / "convert_annotations.py"
REGIONS = RegionOntology.default()

texts_of_reports = st.dictionaries(
    st.text("0123456789.", min_size=1, max_size=8),
    st.text(st.characters(codec="utf-8"), min_size=3, max_size=60),
    min_size=1,
    max_size=3,
)


@st.composite
def judged_reports(draw: st.DrawFn) -> tuple[dict[str, str], list[Judgement]]:
    texts = draw(texts_of_reports)
    found: dict[Any, Judgement] = {}
    for study, text in texts.items():
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(text) - 1))
            end = draw(st.integers(start + 1, len(text)))
            region = draw(st.sampled_from(["liver", "lungs", "hilar_lymph_node"]))
            answer = draw(st.sampled_from(list(Answer)))
            one = Judgement(study, start, end, region, answer, hash_of_text(text))
            found[one.key] = one
    return texts, sorted(found.values(), key=lambda j: j.key)


@given(judged_reports())
def test_label_studio_and_doccano_give_back_what_they_got(
    judged: tuple[dict[str, str], list[Judgement]],
) -> None:
    texts, judgements = judged
    tasks = json.loads(json.dumps(label_studio_tasks(judgements, texts)))
    assert read_label_studio(tasks, texts, REGIONS) == judgements
    assert read_doccano(doccano_lines(judgements, texts), texts, REGIONS) == judgements


@given(judged_reports())
def test_a_table_of_annotations_keeps_all_that_have_a_label(
    judged: tuple[dict[str, str], list[Judgement]],
) -> None:
    texts, judgements = judged
    table = annotation_table(judgements)
    labeled = [j for j in judgements if j.answer.abnormal is not None]
    assert read_annotation_table(table, texts) == labeled


def test_an_export_of_label_studio_is_read() -> None:
    text = "FINDINGS: Mass in the liver."
    common = {"to_name": "text", "origin": "manual"}
    span = {"start": 22, "end": 27, "text": "liver"}
    results = [
        common | {"id": "a", "from_name": "region", "type": "labels",
                  "value": span | {"labels": ["liver"]}},
        common | {"id": "a", "from_name": "answer", "type": "choices",
                  "value": span | {"choices": ["positive"]}},
        common | {"id": "not judged", "from_name": "region", "type": "labels",
                  "value": span | {"labels": ["liver"]}},
    ]  # fmt: skip
    task = {
        "id": 1,
        "data": {"text": text, "study_instance_uid": "1.2"},
        "annotations": [
            {"id": 1, "was_cancelled": False, "completed_by": 1, "result": results},
            {"id": 2, "was_cancelled": True, "completed_by": 1, "result": []},
        ],
        "predictions": [],
    }
    unjudged = {"id": 2, "data": task["data"], "annotations": []}
    [found] = read_label_studio([task, unjudged], {"1.2": text}, REGIONS)
    assert (found.start, found.end, found.answer) == (22, 27, Answer.POSITIVE)


def test_both_exports_of_doccano_are_read() -> None:
    text = "Mass in the liver.\u2028Lungs clear."
    plain = {"id": 1, "text": text, "label": [[12, 17, "liver|positive"]], "Comments": []}
    related = {
        "id": 1,
        "text": text,
        "entities": [{"id": 5, "label": "liver|positive", "start_offset": 12, "end_offset": 17}],
        "relations": [],
    }
    for line in (plain, related):
        content = json.dumps(line | {"study_instance_uid": "1.2"}, ensure_ascii=False) + "\n"
        [found] = read_doccano(content, {"1.2": text}, REGIONS)
        assert found.key == ("1.2", 12, 17, "liver")


def test_the_labeling_interface_names_every_region_and_answer() -> None:
    tree = ElementTree.fromstring(labeling_config(REGIONS))
    assert [label.get("value") for label in tree.iter("Label")] == list(REGIONS)
    assert [c.get("value") for c in tree.iter("Choice")] == [a.value for a in Answer]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "doccano, line 1 is no report"),
        ({"text": "Liver."}, "line 1 is no report of a sequence labeling project"),
        ({"study_instance_uid": "9", "text": "x", "label": []}, "its study is not in reports.csv"),
        ({"text": "Liver. ", "label": []}, r"its text \(7 characters\) is not that"),
        ({"label": [[0, 5, "liver"]]}, "'liver' is not of the form region|answer"),
        ({"label": [[0, 5, "livr|positive"]]}, "'livr' is no region.*Did you mean 'liver'"),
        ({"label": [[0, 5, "liver|yes"]]}, "'yes' is no answer; known are positive"),
        ({"label": [[3, 99, "liver|positive"]]}, "offsets 3 to 99 do not mark"),
    ],
)
def test_a_wrong_line_of_doccano_is_told(line: Any, message: str) -> None:
    if isinstance(line, dict) and "text" not in line:
        line = {"text": "Liver."} | line
    if isinstance(line, dict) and "label" in line:
        line = {"study_instance_uid": "1"} | line
    content = line if isinstance(line, str) else json.dumps(line)
    with pytest.raises(InputDataError, match=message):
        read_doccano(content, {"1": "Liver."}, REGIONS)


def test_a_mention_whose_words_moved_is_refused() -> None:
    texts = {"1": "Mass in the liver."}
    [task] = label_studio_tasks([Judgement("1", 12, 17, "liver", Answer.POSITIVE)], texts)
    task["annotations"][0]["result"][0]["value"]["start"] = 11
    with pytest.raises(InputDataError, match="task 1: offsets 11 to 17 do not mark the judged"):
        read_label_studio([task], texts, REGIONS)
    with pytest.raises(InputDataError, match=r"task 1 has not the form .*KeyError"):
        read_label_studio([{}], texts, REGIONS)
    with pytest.raises(InputDataError, match="holds no list of tasks"):
        read_label_studio({}, texts, REGIONS)


def test_judgements_of_a_changed_report_are_not_exported() -> None:
    stale = Judgement("1", 0, 5, "liver", Answer.POSITIVE, hash_of_text("Liver!"))
    with pytest.raises(InputDataError, match="has another text now"):
        label_studio_tasks([stale], {"1": "Liver."})


def test_the_command_goes_round_all_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, _ = write_phantom_reports(tmp_path, num_patients=3)
    original = read_table(cohort / "annotations.csv", ANNOTATIONS)
    steps: list[tuple[Format, str]] = [
        (Format.ANNOTATIONS, str(cohort / "annotations.csv")),
        (Format.LABEL_STUDIO, str(tmp_path / "tasks.json")),
        (Format.DOCCANO, str(tmp_path / "lines.jsonl")),
        (Format.ANSWERS, str(tmp_path / "answers.jsonl")),
        (Format.ANNOTATIONS, str(tmp_path / "again.csv")),
    ]
    for source, target in pairwise(steps):
        arguments = ["x", "--cohort", str(cohort), "--from", *source, "--to", *target]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert f"{len(original)} judged mentions" in capsys.readouterr().out
    again = read_table(tmp_path / "again.csv", ANNOTATIONS)
    key = list(ANNOTATIONS.columns)
    pd.testing.assert_frame_equal(again, original.sort_values(key, ignore_index=True))
    assert (tmp_path / "tasks.xml").is_file()


def test_a_reader_s_work_is_not_overwritten_but_merged(tmp_path: Path) -> None:
    cohort, _ = write_phantom_reports(tmp_path, num_patients=3)
    path = cohort / "annotations.csv"
    before = read_table(path, ANNOTATIONS)
    first = before.iloc[0]
    key = (first["study_instance_uid"], int(first["start"]), int(first["end"]), first["region"])
    changed = Answer.NEUTRAL_OR_NEGATIVE if first["abnormal"] == 1 else Answer.POSITIVE
    AnswerFile(tmp_path / "a.jsonl").append(Judgement(*key, changed))
    convert = partial(
        convert_annotations,
        tmp_path / "a.jsonl",
        path,
        source_format=Format.ANSWERS,
        target_format=Format.ANNOTATIONS,
        reports=cohort / "reports.csv",
        ontology=REGIONS,
    )
    with pytest.raises(InputDataError, match="may hold a reader's work"):
        convert()
    count = convert(merge=True)
    after = read_table(path, ANNOTATIONS)
    assert count == len(after) == len(before)
    assert (after["abnormal"].sum() - before["abnormal"].sum()) in (-1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "xml", "a", "--to", "answers", "b"), "'xml' is no format; known are answers"),
        (("--from", "answers", "absent", "--to", "answers", "b"), "absent does not exist"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cohort, _ = write_phantom_reports(tmp_path, num_patients=1)
    monkeypatch.setattr(sys, "argv", ["x", "--cohort", str(cohort), *arguments])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
