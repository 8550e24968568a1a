"""A sitting asks, saves, undoes and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.notebook import Answer, AnswerFile, Candidate, LabelingSession, open_session
from petct_ext.tables.schemas import ANNOTATIONS, MENTIONS, read_table, write_table
from tests.package_regions import ONTOLOGY
from tests.reports.phantom_reports import write_phantom_reports

TEXT = "FINDINGS: The lungs are clear. Mass in the liver. Spleen is normal."
TEXTS = {"1": TEXT}
ASKED = [Candidate("1", TEXT.index(w), TEXT.index(w) + len(w), w) for w in ("liver", "lungs")]


def session(folder: Path) -> LabelingSession:
    return LabelingSession(ASKED, TEXTS, AnswerFile(folder / "answers.jsonl"))


def test_a_mention_is_shown_in_its_sentence_between_its_neighbours(tmp_path: Path) -> None:
    shown = session(tmp_path).current()
    assert shown is not None
    assert (shown.before, shown.after) == ("The lungs are clear.", "Spleen is normal.")
    assert (shown.left, shown.mention, shown.right) == ("Mass in the ", "liver", ".")
    assert shown.section == "findings"


def test_answers_are_saved_at_once_and_asked_no_more(tmp_path: Path) -> None:
    first = session(tmp_path)
    first.answer(Answer.POSITIVE)
    second = session(tmp_path)
    shown = second.current()
    assert shown is not None
    assert shown.candidate.region == "lungs"
    assert (second.num_left, second.counts()["positive"]) == (1, 1)
    second.answer(Answer.SKIP)
    assert second.current() is None
    assert second.num_left == 0
    with pytest.raises(InputDataError, match="all are judged"):
        second.answer(Answer.SKIP)


def test_undo_asks_again_even_what_an_earlier_sitting_judged(tmp_path: Path) -> None:
    session(tmp_path).answer(Answer.POSITIVE)
    resumed = session(tmp_path)
    assert resumed.undo()
    shown = resumed.current()
    assert shown is not None
    assert shown.candidate == ASKED[0]
    assert not resumed.undo()
    assert resumed.num_left == 2


def test_undo_brings_back_a_mention_that_is_not_in_the_queue(tmp_path: Path) -> None:
    session(tmp_path).answer(Answer.POSITIVE)
    other = LabelingSession(ASKED[1:], TEXTS, AnswerFile(tmp_path / "answers.jsonl"))
    assert other.undo()
    shown = other.current()
    assert shown is not None
    assert shown.mention == "liver"


def test_the_file_of_answers_holds_no_report_text(tmp_path: Path) -> None:
    done = session(tmp_path)
    done.answer(Answer.POSITIVE)
    done.answer(Answer.SKIP)
    content = (tmp_path / "answers.jsonl").read_text()
    assert not any(word in content for word in ("Mass", "clear", "Spleen", "findings"))


def test_a_changed_report_is_refused(tmp_path: Path) -> None:
    session(tmp_path).answer(Answer.POSITIVE)
    answers = AnswerFile(tmp_path / "answers.jsonl")
    with pytest.raises(InputDataError, match="1 of the judged reports have another text now"):
        LabelingSession(ASKED, {"1": TEXT + " "}, answers)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (Candidate("2", 0, 1, "liver"), "a study without report"),
        (Candidate("1", 5, 999, "liver"), "characters 5 to 999 of a report of 67 characters"),
    ],
)
def test_a_mention_outside_its_report_is_refused(
    tmp_path: Path, candidate: Candidate, message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        LabelingSession([candidate], TEXTS, AnswerFile(tmp_path / "a.jsonl"))


def test_a_cohort_is_asked_without_what_is_annotated(tmp_path: Path) -> None:
    cohort, _ = write_phantom_reports(tmp_path, num_patients=4)
    annotations = read_table(cohort / "annotations.csv", ANNOTATIONS)
    less = open_session(cohort, ontology=ONTOLOGY)
    (cohort / "annotations.csv").unlink()
    everything = open_session(cohort, ontology=ONTOLOGY)
    assert 0 < less.num_left < everything.num_left <= less.num_left + len(annotations)
    assert open_session(cohort, max_reports=1, ontology=ONTOLOGY).num_left < everything.num_left
    everything.answer(Answer.POSITIVE)
    assert (cohort / "answers.jsonl").is_file()


def test_a_model_s_uncertain_mentions_are_asked_first(tmp_path: Path) -> None:
    cohort, work = write_phantom_reports(tmp_path, num_patients=4)
    rows = [("e0000", "findings", 0, 40 + n, 45 + n, "liver", n / 20) for n in range(20)]
    write_table(pd.DataFrame(rows, columns=list(MENTIONS.columns)), work / "mentions.csv", MENTIONS)
    exams = pd.read_csv(work / "private" / "identifiers.csv")["exam_id"]
    table = read_table(work / "mentions.csv", MENTIONS).assign(exam_id=exams[0])
    write_table(table, work / "mentions.csv", MENTIONS)
    asked = open_session(cohort, work=work, order="uncertainty", ontology=ONTOLOGY)
    shown = asked.current()
    assert shown is not None
    assert shown.candidate.probability == 0.5


def test_uncertainty_without_a_work_folder_or_with_another_is_refused(tmp_path: Path) -> None:
    cohort, work = write_phantom_reports(tmp_path, num_patients=2)
    with pytest.raises(InputDataError, match="needs work=FOLDER"):
        open_session(cohort, order="uncertainty", ontology=ONTOLOGY)
    row = [("stranger", "findings", 0, 1, 2, "liver", 0.5)]
    write_table(pd.DataFrame(row, columns=list(MENTIONS.columns)), work / "mentions.csv", MENTIONS)
    with pytest.raises(InputDataError, match="none of its 1 mentions is in a report"):
        open_session(cohort, work=work, order="uncertainty", ontology=ONTOLOGY)
