"""A sitting of a reader: what is shown, what is answered, how far it has got."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.labeler.notebook.answers import Answer, AnswerFile, Judgement, hash_of_text
from petct_ext.labeler.notebook.mention_queue import (
    Candidate,
    Order,
    find_candidates,
    order_candidates,
    surroundings,
)
from petct_ext.ontology import RegionOntology
from petct_ext.reports.readable import readable_text
from petct_ext.reports.rows import read_report_table
from petct_ext.tables.schemas import ANNOTATIONS, IDENTIFIERS, MENTIONS, read_table

__all__ = ["LabelingSession", "Shown", "open_session"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A mention as it is shown to a reader.

    Attributes:
        candidate: the mention. Its probability is not shown: readers follow what they are told.
        section: ``findings`` or ``impression``; empty if the mention is in neither.
        before: sentence before, or "".
        left: the mention's sentence up to it.
        mention: its words.
        right: rest of the sentence.
        after: sentence after, or "".
    """

    candidate: Candidate
    section: str
    before: str
    left: str
    mention: str
    right: str
    after: str


class LabelingSession:
    """Goes through mentions in order; every answer is on the disk when the call returns.

    Args:
        candidates: mentions in the order in which they are asked.
        texts: report of each study.
        answers: where answers are kept. Mentions that were answered are not asked again.

    Raises:
        InputDataError: if a mention lies outside its report, or a report that was judged has
            another text now.
    """

    def __init__(
        self, candidates: Iterable[Candidate], texts: Mapping[str, str], answers: AnswerFile
    ) -> None:
        self.texts = texts
        self.answers = answers
        _require_same_texts(answers, texts)
        judged = {judgement.key for judgement in answers.judgements()}
        unique = {candidate.key: candidate for candidate in candidates}
        for candidate in unique.values():
            _require_inside(candidate, texts)
        self._known = unique
        self._waiting = [c for key, c in unique.items() if key not in judged]
        # The end of a list is cheap to take from.
        self._waiting.reverse()

    @property
    def num_left(self) -> int:
        """How many mentions wait for an answer."""
        return len(self._waiting)

    def counts(self) -> dict[str, int]:
        """Returns how many mentions of this and earlier sittings have each answer."""
        found = Counter(judgement.answer for judgement in self.answers.judgements())
        return {answer.value: found[answer] for answer in Answer}

    def current(self) -> Shown | None:
        """Returns the mention that waits for an answer, or None at the end."""
        if not self._waiting:
            return None
        candidate = self._waiting[-1]
        # As the model reads it: markup and odd characters are spaces, offsets stay.
        text = readable_text(self.texts[candidate.study_instance_uid])
        section, sentences, index = surroundings(text, candidate.start, candidate.end)
        first, last = sentences[index]
        return Shown(
            candidate,
            section,
            before=_sentence(text, sentences, index - 1),
            left=text[first : candidate.start],
            mention=text[candidate.start : candidate.end],
            right=text[candidate.end : last],
            after=_sentence(text, sentences, index + 1),
        )

    def answer(self, answer: Answer) -> None:
        """Saves the answer to the current mention and goes on to the next one.

        Raises:
            OutputError: if it cannot be saved; the mention stays the current one.
            InputDataError: if no mention waits.
        """
        if not self._waiting:
            raise InputDataError("no mention waits for an answer; all are judged.")
        candidate = self._waiting[-1]
        text_hash = hash_of_text(self.texts[candidate.study_instance_uid])
        self.answers.append(Judgement(*candidate.key, answer, text_hash))
        self._waiting.pop()

    def undo(self) -> bool:
        """Takes the last answer back, of an earlier sitting if need be, and asks again.

        Returns:
            False if there is nothing to take back.

        Raises:
            OutputError: if that cannot be saved; nothing is taken back then.
        """
        taken_back = self.answers.undo()
        if taken_back is None:
            return False
        candidate = self._known.get(taken_back.key)
        if candidate is None and taken_back.study_instance_uid in self.texts:
            candidate = Candidate(*taken_back.key)
        if candidate is not None:
            self._waiting.append(candidate)
        return True


def open_session(
    cohort: str | Path,
    *,
    ontology: RegionOntology,
    work: str | Path | None = None,
    answers: str | Path | None = None,
    order: Order = "random",
    seed: int = 0,
    max_reports: int = 200,
) -> LabelingSession:
    """Begins a sitting with a cohort's reports, or goes on with one.

    Args:
        cohort: folder with ``reports.csv``. Mentions of its ``annotations.csv``, if there is one,
            are not asked.
        ontology: regions to look for.
        work: work folder with ``mentions.csv`` and ``private/identifiers.csv``, which
            ``order="uncertainty"`` needs.
        answers: file of answers; ``answers.jsonl`` in the cohort's folder by default. One file per
            reader: two readers who share one would each see what the other has judged as done.
        order: see :func:`petct_ext.labeler.notebook.mention_queue.order_candidates`.
        seed: of the random numbers; with the same seed the order is the same.
        max_reports: with ``order="random"``, how many reports are drawn and tagged.

    Raises:
        InputDataError: if a file is missing or wrong.
    """
    cohort = Path(cohort)
    reports = read_report_table(cohort / "reports.csv")
    texts = dict(zip(reports["study_instance_uid"], reports["text"], strict=True))
    rng = np.random.default_rng(seed)
    if order == "uncertainty":
        candidates = _candidates_of_model(work, texts)
    else:
        drawn = rng.permutation(sorted(texts))[:max_reports].tolist()
        chosen = {study: texts[study] for study in drawn}
        candidates = find_candidates(chosen, ontology)
    annotated = _annotated(cohort / "annotations.csv")
    candidates = [c for c in candidates if c.key not in annotated]
    ordered = order_candidates(candidates, texts, order=order, rng=rng)
    return LabelingSession(ordered, texts, AnswerFile(answers or cohort / "answers.jsonl"))


def _candidates_of_model(work: str | Path | None, texts: Mapping[str, str]) -> list[Candidate]:
    if work is None:
        raise InputDataError("order='uncertainty' needs work=FOLDER, the folder of mentions.csv.")
    mentions = read_table(Path(work) / "mentions.csv", MENTIONS)
    identifiers = read_table(Path(work) / "private" / "identifiers.csv", IDENTIFIERS)
    rows = mentions.merge(identifiers[["exam_id", "study_instance_uid"]], on="exam_id")
    rows = rows[rows["study_instance_uid"].isin(list(texts))]
    if rows.empty:
        raise InputDataError(
            f"{Path(work) / 'mentions.csv'}: none of its {len(mentions)} mentions is in a report "
            "of this cohort; give the work folder that belongs to it."
        )
    return [
        Candidate(str(row[0]), int(row[1]), int(row[2]), str(row[3]), float(row[4]))
        for row in rows[["study_instance_uid", "start", "end", "region", "probability"]].itertuples(
            index=False
        )
    ]


def _annotated(path: Path) -> set[tuple[str, int, int, str]]:
    if not path.is_file():
        return set()
    table: pd.DataFrame = read_table(path, ANNOTATIONS, allow_empty=True)
    columns = (table[name].tolist() for name in ("study_instance_uid", "start", "end", "region"))
    return set(zip(*columns, strict=True))


def _sentence(text: str, sentences: Sequence[tuple[int, int]], index: int) -> str:
    if not 0 <= index < len(sentences):
        return ""
    first, last = sentences[index]
    return text[first:last]


def _require_inside(candidate: Candidate, texts: Mapping[str, str]) -> None:
    text = texts.get(candidate.study_instance_uid)
    if text is None:
        raise InputDataError("a mention belongs to a study without report; check both tables.")
    if not 0 <= candidate.start < candidate.end <= len(text):
        raise InputDataError(
            f"a mention lies at characters {candidate.start} to {candidate.end} of a report of "
            f"{len(text)} characters; the report was changed after it was tagged: tag it again."
        )


def _require_same_texts(answers: AnswerFile, texts: Mapping[str, str]) -> None:
    hashes: dict[str, str] = {}
    changed: set[str] = set()
    for judgement in answers.judgements():
        study = judgement.study_instance_uid
        if study in texts and judgement.text_hash:
            if study not in hashes:
                hashes[study] = hash_of_text(texts[study])
            if hashes[study] != judgement.text_hash:
                changed.add(study)
    if changed:
        raise InputDataError(
            f"{answers.path}: {len(changed)} of the judged reports have another text now, so that "
            "offsets would be wrong; use the reports.csv of that time, or another file of answers."
        )
