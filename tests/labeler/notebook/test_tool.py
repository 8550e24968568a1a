"""What the browser asks for is carried out once, and text never stays in the widget."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.notebook import (
    Answer,
    AnswerFile,
    Candidate,
    LabelingSession,
    LabelingTool,
    open_labeling_tool,
)
from tests.package_regions import ONTOLOGY
from tests.reports.phantom_reports import write_phantom_reports

TEXT = "FINDINGS: The lungs are clear. Mass in the <b>liver</b>. Spleen is normal."
ASKED = [Candidate("1", TEXT.index(w), TEXT.index(w) + len(w), w) for w in ("liver", "lungs")]


def tool(folder: Path) -> LabelingTool:
    return LabelingTool(
        LabelingSession(ASKED, {"1": TEXT}, AnswerFile(folder / "answers.jsonl")), ONTOLOGY
    )


def test_the_first_message_shows_the_mention_in_parts(tmp_path: Path) -> None:
    view = tool(tmp_path).handle({"action": "show", "turn": -1})
    assert view["mention"]["region"] == "liver"
    assert view["mention"]["left"] == "Mass in the    "  # as the model reads it
    assert view["mention"]["words"] == "liver"
    assert (view["num_judged"], view["num_left"], view["error"]) == (0, 2, "")
    assert "probability" not in view["mention"]


def test_an_answer_goes_on_and_its_repetition_does_nothing(tmp_path: Path) -> None:
    labeling = tool(tmp_path)
    turn = labeling.view()["turn"]
    answer = {"action": "answer", "answer": "positive", "turn": turn}
    assert labeling.handle(answer)["mention"]["region"] == "lungs"
    again = labeling.handle(answer)
    assert (again["num_judged"], again["num_left"]) == (1, 1)
    assert len(labeling.session.answers.judgements()) == 1


def test_all_can_be_judged_and_undone(tmp_path: Path) -> None:
    labeling = tool(tmp_path)
    view = labeling.view()
    for answer in (Answer.NOT_A_MENTION, Answer.SKIP):
        view = labeling.handle({"action": "answer", "answer": answer.value, "turn": view["turn"]})
    assert view["mention"] is None
    assert view["counts"] == {
        "positive": 0,
        "neutral_or_negative": 0,
        "not_a_mention": 1,
        "skip": 1,
    }
    for _ in range(3):
        view = labeling.handle({"action": "undo", "turn": view["turn"]})
    assert (view["num_judged"], view["num_left"]) == (0, 2)


def test_a_failure_to_save_is_shown_and_the_mention_stays(tmp_path: Path) -> None:
    labeling = tool(tmp_path)
    (tmp_path / "answers.jsonl").mkdir()
    view = labeling.handle({"action": "answer", "answer": "positive", "turn": 0})
    assert "the answer is not saved" in view["error"]
    assert view["mention"]["words"] == "liver"
    assert view["turn"] == 0


def test_an_unknown_answer_is_told(tmp_path: Path) -> None:
    view = tool(tmp_path).handle({"action": "answer", "answer": "maybe", "turn": 0})
    assert view["error"] == "'maybe' is no answer."
    assert view["num_judged"] == 0


@pytest.mark.skipif(find_spec("anywidget") is not None, reason="anywidget is installed")
def test_a_missing_anywidget_is_told_with_its_remedy(tmp_path: Path) -> None:
    cohort, _ = write_phantom_reports(tmp_path, num_patients=1)
    with pytest.raises(InputDataError, match=r"pip install 'petct_ext\[notebook\]'"):
        open_labeling_tool(cohort)


@pytest.mark.skipif(find_spec("anywidget") is None, reason="needs the extra 'notebook'")
def test_report_text_is_never_in_the_state_that_jupyter_may_save(tmp_path: Path) -> None:
    labeling = tool(tmp_path)
    labeling.handle({"action": "show", "turn": -1})
    state = str(labeling.widget.get_state()) + str(labeling._repr_mimebundle_())
    assert not any(words in state for words in ("lungs are clear", "Mass in the", "Spleen is"))
