"""Answers are on the disk when the call returns, and only ever appended."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.errors import InputDataError, OutputError
from petct_ext.labeler.notebook import Answer, AnswerFile, Judgement


def judgement(number: int, answer: Answer = Answer.POSITIVE) -> Judgement:
    return Judgement("1.2.3", number, number + 5, "liver", answer, "0123456789abcdef")


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_answers_are_read_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    answers = AnswerFile(path)
    assert not path.exists()
    given = [judgement(3), judgement(1, Answer.SKIP), judgement(2, Answer.NOT_A_MENTION)]
    assert [answers.append(one) for one in given] == [1, 2, 3]
    assert answers.judgements() == AnswerFile(path).judgements() == given


def test_only_positive_and_negative_answers_have_a_label() -> None:
    assert [answer.abnormal for answer in Answer] == [1, 0, None, None]


def test_a_later_answer_replaces_an_earlier_one(tmp_path: Path) -> None:
    answers = AnswerFile(tmp_path / "a.jsonl")
    for one in (judgement(1), judgement(2), judgement(1, Answer.NEUTRAL_OR_NEGATIVE)):
        answers.append(one)
    expected = [judgement(2), judgement(1, Answer.NEUTRAL_OR_NEGATIVE)]
    assert answers.judgements() == AnswerFile(answers.path).judgements() == expected


def test_undo_is_a_record_and_brings_the_answer_before_back(tmp_path: Path) -> None:
    answers = AnswerFile(tmp_path / "a.jsonl")
    answers.append(judgement(1))
    answers.append(judgement(1, Answer.SKIP))
    before = answers.path.read_bytes()
    assert answers.undo() == judgement(1, Answer.SKIP)
    assert answers.path.read_bytes().startswith(before)
    assert answers.judgements() == AnswerFile(answers.path).judgements() == [judgement(1)]
    assert answers.undo() == judgement(1)
    assert answers.undo() is None
    assert [record["record"] for record in records(answers.path)] == ["answer"] * 2 + ["undo"] * 2


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=25), st.data())
@settings(max_examples=60, deadline=None)
def test_any_history_cut_anywhere_gives_what_was_complete(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | None], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.jsonl"
    answers = AnswerFile(path)
    history = [(0, answers.judgements())]
    for step in steps:
        if step is None:
            answers.undo()
        else:
            answers.append(judgement(step, list(Answer)[step]))
        size = path.stat().st_size if path.exists() else 0
        history.append((size, answers.judgements()))
    if not path.exists():
        return
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:kept])
    # A line that lacks its line end only is complete.
    expected = [state for size, state in history if size <= kept + 1][-1]
    resumed = AnswerFile(path)
    assert resumed.judgements() == expected
    resumed.append(judgement(9))
    assert path.read_bytes().startswith(content[:kept])
    assert AnswerFile(path).judgements() == [*expected, judgement(9)]
    assert AnswerFile(path).cut_line == 0


def test_a_cut_line_is_told_and_the_file_stays_readable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = AnswerFile(tmp_path / "a.jsonl")
    answers.append(judgement(1))
    answers.append(judgement(2))
    answers.path.write_bytes(answers.path.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING):
        resumed = AnswerFile(answers.path)
    assert resumed.cut_line == 2
    assert "line 2 is cut off" in caplog.text
    assert resumed.judgements() == [judgement(1)]
    resumed.append(judgement(3))
    assert resumed.cut_line == 0
    again = AnswerFile(answers.path)
    assert again.judgements() == [judgement(1), judgement(3)]
    assert again.append(judgement(4)) > resumed.append(judgement(5)) - 2


def test_two_files_open_at_once_lose_nothing(tmp_path: Path) -> None:
    first, second = AnswerFile(tmp_path / "a.jsonl"), AnswerFile(tmp_path / "a.jsonl")
    numbers = [first.append(judgement(1)), second.append(judgement(2)), first.append(judgement(3))]
    assert numbers == [1, 2, 3]
    assert first.judgements() == [judgement(1), judgement(2), judgement(3)]


def _write_many(path: Path, first: int) -> None:
    answers = AnswerFile(path)
    for number in range(first, first + 40):
        answers.append(judgement(number))


def test_two_processes_may_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, n)) for n in (0, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(AnswerFile(path).judgements()) == 80
    assert [record["number"] for record in records(path)] == list(range(1, 81))


def test_a_killed_process_loses_no_answer_that_it_had_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import sys\n"
        "from petct_ext.labeler.notebook import Answer, AnswerFile, Judgement\n"
        f"answers = AnswerFile({str(path)!r})\n"
        "for n in range(100000):\n"
        "    answers.append(Judgement('1.2', n, n + 1, 'liver', Answer.SKIP))\n"
        "    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        confirmed = [int(child.stdout.readline()) for _ in range(50)]
        os.kill(child.pid, signal.SIGKILL)
        confirmed += [int(line) for line in child.stdout.read().split()]
    starts = [one.start for one in AnswerFile(path).judgements()]
    assert starts[: len(confirmed)] == confirmed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json\n{}\n", "line 1 is no record of an answer"),
        (b'{"record": "answer", "number": 1}\n', "line 1: the record of an answer is not complete"),
        (
            (
                b'{"record": "answer", "number": 1, "study_instance_uid": "1", "start": 0, '
                b'"end": 1, "region": "liver", "answer": "perhaps"}\n'
            ),
            "'perhaps' is not a valid Answer",
        ),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(InputDataError, match=message):
        AnswerFile(tmp_path / "a.jsonl")


def test_a_folder_is_no_file_of_answers(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="is no file; give the path"):
        AnswerFile(tmp_path)


def test_an_answer_that_cannot_be_written_is_told_and_not_counted(tmp_path: Path) -> None:
    answers = AnswerFile(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(OutputError, match="the answer is not saved"):
        answers.append(judgement(1))
    assert answers.judgements() == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the file size")
def test_an_answer_that_does_not_fit_on_the_disk_is_told_and_can_be_given_again(
    tmp_path: Path,
) -> None:
    answers = AnswerFile(tmp_path / "a.jsonl")
    answers.append(judgement(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (answers.path.stat().st_size + 30, hard))
    try:
        with pytest.raises(OutputError, match=r"File too large.*the answer is not saved"):
            answers.append(judgement(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answers.judgements() == [judgement(1)]
    answers.append(judgement(2))
    assert answers.judgements() == AnswerFile(answers.path).judgements()
    assert len(answers.judgements()) == 2
