"""The file of answers: one JSON object a line, only ever appended to.

A line is one of::

    {"record": "answer", "number": 7, "study_instance_uid": "1.2.3", "start": 120, "end": 125,
     "region": "liver", "answer": "positive", "text_hash": "9f86d081884c7d65", "time": "..."}
    {"record": "undo", "number": 8, "of": 7, "time": "..."}
    {"record": "repair", "number": 9, "time": "..."}

Privacy: the file holds offsets, regions and study UIDs, but no word of a report. ``text_hash``
tells whether a report is still the text that was judged. Study UIDs are identifiers all the same:
keep the file with ``reports.csv``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from petct_ext.errors import InputDataError, OutputError
from petct_ext.files import make_folder

if sys.platform != "win32":
    import fcntl

__all__ = ["Answer", "AnswerFile", "Judgement", "hash_of_text"]

_LOGGER = logging.getLogger(__name__)

Key = tuple[str, int, int, str]


class Answer(StrEnum):
    """What a reader says of a mention."""

    POSITIVE = "positive"
    """The text says that the region is abnormal."""
    NEUTRAL_OR_NEGATIVE = "neutral_or_negative"
    """The text says that it is normal, or says nothing of its state."""
    NOT_A_MENTION = "not_a_mention"
    """The words do not speak of this region: the tagger is wrong."""
    SKIP = "skip"
    """The reader cannot tell."""

    @property
    def abnormal(self) -> int | None:
        """1 or 0 as in the table ANNOTATIONS; None for answers that do not go there."""
        return {Answer.POSITIVE: 1, Answer.NEUTRAL_OR_NEGATIVE: 0}.get(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer with the mention that it is about.

    Attributes:
        study_instance_uid: the report's study.
        start: offset of the mention in the report.
        end: offset one past its last character.
        region: name in the ontology.
        answer: what the reader said.
        text_hash: see :func:`hash_of_text`; empty where the source of the judgement has none.
    """

    study_instance_uid: str
    start: int
    end: int
    region: str
    answer: Answer
    text_hash: str = ""

    @property
    def key(self) -> Key:
        """What tells the mention from all others."""
        return self.study_instance_uid, self.start, self.end, self.region


def hash_of_text(text: str) -> str:
    """Returns 16 hexadecimal digits that change when a report's text does."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class AnswerFile:
    """Answers on disk, complete after every call: a killed process loses nothing.

    Every record is appended, flushed and synchronized to the disk before the call returns. A last
    line that was cut (a power failure in the middle of writing) is left where it is, reported in
    the log and in :attr:`cut_line`, and followed by a ``repair`` record with the next answer. Any
    other unreadable line is an error. Several processes may append to one file; each reads what
    the others wrote before it writes.

    Args:
        path: the file; it need not exist, and is not made before the first answer.

    Attributes:
        path: the file.
        cut_line: number of the last line if it is cut off, else 0.

    Raises:
        InputDataError: if the file exists and is no file of answers.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cut_line = 0
        self._content = _Content()
        self._read()
        if self.cut_line:
            _LOGGER.warning(
                "%s, line %d is cut off: its process ended while it was written. All answers "
                "before it are there; judge that mention again.",
                self.path,
                self.cut_line,
            )

    def judgements(self) -> list[Judgement]:
        """Returns the latest answer to each mention in their order, without those undone."""
        latest: dict[Key, Judgement] = {}
        for judgement in self._content.judged.values():
            latest.pop(judgement.key, None)
            latest[judgement.key] = judgement
        return list(latest.values())

    def append(self, judgement: Judgement) -> int:
        """Writes an answer and returns its number.

        Raises:
            OutputError: if it cannot be written; no answer is lost or added then.
        """
        fields = {
            "study_instance_uid": judgement.study_instance_uid,
            "start": judgement.start,
            "end": judgement.end,
            "region": judgement.region,
            "answer": judgement.answer.value,
            "text_hash": judgement.text_hash,
        }
        return self._append("answer", fields)

    def undo(self) -> Judgement | None:
        """Takes back the last answer that still holds, by a record that says so.

        Returns:
            What was taken back, or None if there is nothing.

        Raises:
            OutputError: if the record cannot be written; nothing is taken back then.
        """
        if not self._content.judged:
            return None
        last = max(self._content.judged)
        taken_back = self._content.judged[last]
        self._append("undo", {"of": last})
        return taken_back

    def _append(self, kind: str, fields: Mapping[str, Any]) -> int:
        is_new = not self.path.exists()
        if is_new:
            make_folder(self.path.parent)
        try:
            with self.path.open("ab") as file, _locked(file):
                if file.seek(0, os.SEEK_END) != self._content.size:
                    self._read()  # another process has written
                records = self._records(kind, fields)
                lines = b"".join(json.dumps(record).encode("ascii") + b"\n" for record in records)
                file.write(self._content.mend + lines)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written ({error.strerror or error}): the answer is not "
                "saved. Free space on the disk or mend the permissions, and answer again."
            ) from None
        if is_new:
            _synchronize_folder(self.path.parent)
        for record in records:
            _apply(record, self._content, str(self.path))
        self._content.size, self._content.mend, self.cut_line = size, b"", 0
        return self._content.number

    def _records(self, kind: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        number = self._content.number + 1
        record = {"record": kind, "number": number, **fields, "time": time}
        if not self.cut_line:
            return [record]
        return [
            {"record": "repair", "number": number, "time": time},
            record | {"number": number + 1},
        ]

    def _read(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_file():
            raise InputDataError(f"{self.path} is no file; give the path of a file of answers.")
        try:
            self._content = _parse(self.path.read_bytes(), self.path)
        except OSError as error:
            raise InputDataError(f"{self.path} cannot be read: {error.strerror}.") from None
        self.cut_line = self._content.cut_line


@dataclass(slots=True)
class _Content:
    """A file of answers, read: ``mend`` must be written before the next record."""

    judged: dict[int, Judgement] = field(default_factory=dict)
    number: int = 0
    size: int = 0
    cut_line: int = 0
    mend: bytes = b""


def _parse(content: bytes, path: Path) -> _Content:
    result = _Content(size=len(content), mend=b"" if content[-1:] in (b"", b"\n") else b"\n")
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    records = [_record(line) for line in lines]
    for index, record in enumerate(records):
        after = records[index + 1] if index + 1 < len(records) else None
        if record is not None:
            _apply(record, result, f"{path}, line {index + 1}")
        elif index + 1 == len(records) and result.mend:
            result.cut_line = index + 1
        elif after is None or after["record"] != "repair":
            raise InputDataError(
                f"{path}, line {index + 1} is no record of an answer; the file was changed or is "
                "something else. Give another file, or remove that line."
            )
    return result


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    is_known = isinstance(record, dict) and record.get("record") in ("answer", "undo", "repair")
    return record if is_known else None


def _apply(record: Mapping[str, Any], content: _Content, place: str) -> None:
    try:
        number = int(record["number"])
        if record["record"] == "undo":
            content.judged.pop(int(record["of"]), None)
        elif record["record"] == "answer":
            content.judged[number] = Judgement(
                str(record["study_instance_uid"]),
                int(record["start"]),
                int(record["end"]),
                str(record["region"]),
                Answer(record["answer"]),
                str(record.get("text_hash", "")),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise InputDataError(
            f"{place}: the record of an answer is not complete or has a wrong value ({error}); "
            "remove that line."
        ) from None
    content.number = max(content.number, number)


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    if sys.platform == "win32":  # two kernels on one file are not kept apart there
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # some network file systems have no locks
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _synchronize_folder(folder: Path) -> None:
    """Makes a new file's name survive a power failure, where folders can be synchronized."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
