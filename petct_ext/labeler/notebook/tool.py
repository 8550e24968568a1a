"""The labelling tool in a notebook: what goes to and comes from the browser.

Report text goes to the browser in messages and never into the widget's state, since Jupyter may
save that state in the notebook file, which is then shared without a thought.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from petct_ext.errors import InputDataError, PETCTError
from petct_ext.labeler.notebook.answers import Answer
from petct_ext.labeler.notebook.mention_queue import Order
from petct_ext.labeler.notebook.session import LabelingSession, Shown, open_session
from petct_ext.ontology import RegionOntology, load_ontology

__all__ = ["LabelingTool", "open_labeling_tool"]

_TITLES: Final = {
    Answer.POSITIVE: "Positive",
    Answer.NEUTRAL_OR_NEGATIVE: "Neutral or negative",
    Answer.NOT_A_MENTION: "Not a mention",
    Answer.SKIP: "Skip",
}


class LabelingTool:
    """Shows a session in a notebook; put it on the last line of a cell.

    Keys: 1 positive, 2 neutral or negative, 3 not a mention, 4 skip, U undo. They work after a
    click into the tool. Each answer is on the disk before the next mention is shown.

    Args:
        session: what is asked.
        ontology: for the titles of regions.
    """

    def __init__(self, session: LabelingSession, ontology: RegionOntology) -> None:
        self.session = session
        self.ontology = ontology
        self._turn = 0
        self._widget: Any = None

    def handle(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out what the browser asks for and returns what it shall show.

        Args:
            message: ``{"action": "show" | "answer" | "undo", "answer": ..., "turn": ...}``. An
                answer or undo that belongs to another turn than the one shown (a double click, a
                second view of the same tool) changes nothing.

        Returns:
            See :meth:`view`; with ``error`` if something could not be saved.
        """
        error = ""
        action = message.get("action")
        if action in ("answer", "undo") and message.get("turn") == self._turn:
            try:
                self._act(message)
                self._turn += 1
            except PETCTError as problem:
                error = str(problem)
        return self.view(error)

    def view(self, error: str = "") -> dict[str, Any]:
        """Returns what the browser shows: text in parts, never HTML."""
        shown = self.session.current()
        counts = self.session.counts()
        return {
            "turn": self._turn,
            "mention": None if shown is None else self._mention(shown),
            "answers": [{"value": a.value, "title": _TITLES[a]} for a in Answer],
            "counts": counts,
            "num_judged": sum(counts.values()),
            "num_left": self.session.num_left,
            "file": self.session.answers.path.name,
            "cut_line": self.session.answers.cut_line,
            "error": error,
        }

    @property
    def widget(self) -> Any:
        """The widget, made on first use.

        Raises:
            InputDataError: if the packages of the extra ``notebook`` are missing.
        """
        if self._widget is None:
            self._widget = _new_widget()
            self._widget.on_msg(self._on_message)
        return self._widget

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs)

    def _on_message(self, widget: Any, content: Mapping[str, Any], buffers: Any) -> None:
        widget.send(self.handle(content))

    def _act(self, message: Mapping[str, Any]) -> None:
        if message["action"] == "undo":
            self.session.undo()
            return
        try:
            answer = Answer(str(message.get("answer")))
        except ValueError:
            raise InputDataError(f"{message.get('answer')!r} is no answer.") from None
        self.session.answer(answer)

    def _mention(self, shown: Shown) -> dict[str, str]:
        region = shown.candidate.region
        return {
            "region": self.ontology.title(region) if region in self.ontology else region,
            "section": shown.section,
            "before": shown.before,
            "left": shown.left,
            "words": shown.mention,
            "right": shown.right,
            "after": shown.after,
        }


def open_labeling_tool(
    cohort: str | Path,
    *,
    work: str | Path | None = None,
    answers: str | Path | None = None,
    ontology: str | Path | None = None,
    order: Order = "random",
    seed: int = 0,
    max_reports: int = 200,
) -> LabelingTool:
    """Begins or continues labelling a cohort in a notebook.

    Args:
        cohort: see :func:`petct_ext.labeler.notebook.session.open_session`, as are all others.
        work: work folder, for ``order="uncertainty"``.
        answers: file of answers.
        ontology: ``regions.json`` with regions of your own; the package's by default.
        order: ``random`` or ``uncertainty``.
        seed: of the random numbers.
        max_reports: how many reports are tagged with ``order="random"``.

    Raises:
        InputDataError: if a file is missing or wrong, or the extra ``notebook`` is not installed.
    """
    regions = load_ontology(ontology)
    session = open_session(
        cohort,
        ontology=regions,
        work=work,
        answers=answers,
        order=order,
        seed=seed,
        max_reports=max_reports,
    )
    tool = LabelingTool(session, regions)
    _ = tool.widget  # a missing package is told here and not as a broken cell output
    return tool


def _new_widget() -> Any:
    try:
        import anywidget
    except ImportError:
        raise InputDataError(
            "the labelling tool needs anywidget; run pip install 'petct_ext[notebook]' and "
            "restart the kernel."
        ) from None
    here = resources.files(__package__)
    members = {
        "__module__": __name__,
        "_esm": (here / "labeling_tool.js").read_text(encoding="utf-8"),
        "_css": (here / "labeling_tool.css").read_text(encoding="utf-8"),
    }
    return type("LabelingWidget", (anywidget.AnyWidget,), members)()
