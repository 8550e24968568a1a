"""What an archive on disk is taken for: its studies, and the choice of its exams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from petct_ext.dicom.files.headers import FileHeader, HeaderReader
from petct_ext.dicom.files.walk import walk_files
from petct_ext.dicom.series.exam_choice import ExamChoice, choose_exams
from petct_ext.dicom.series.groups import Series, Study, group_studies
from petct_ext.dicom.series.pairing import Wishes
from petct_ext.dicom.series.pixels import SeriesPixels
from petct_ext.dicom.series.reconstruction import parse_preference


def read_all(folder: Path) -> list[FileHeader]:
    """Returns the headers of all DICOM files below a folder."""
    reader = HeaderReader(folder)
    results = [reader.read(stamp.path) for stamp in walk_files(folder).files]
    return [result for result in results if isinstance(result, FileHeader)]


def studies_in(folder: Path) -> list[Study]:
    """Returns the studies below a folder."""
    return group_studies(read_all(folder))


def only_series(folder: Path) -> Series:
    """Returns the one series below a folder."""
    ((series,),) = (study.series for study in studies_in(folder))
    return series


def choose(folder: Path, *prefer: str, **options: Any) -> ExamChoice:
    """Returns the choice of the one exam below a folder that has a PET, if any has.

    Args:
        folder: the archive.
        prefer: preferences as typed.
        options: of ``choose_exams``.
    """
    wishes = Wishes(tuple(map(parse_preference, prefer)), SeriesPixels(folder))
    choices = choose_exams(studies_in(folder), wishes=wishes, **options)
    (choice,) = [c for c in choices if c.study.has("PT")] or choices
    return choice


def reason(choice: ExamChoice, series: str) -> str:
    """Returns the reason of the series that was written as ``series``."""
    return choice.reasons[f"1.2.3.{series}"]


def chosen(choice: ExamChoice) -> tuple[str | None, str | None]:
    """Returns the keys of the chosen PET and CT."""
    return (choice.pet.key if choice.pet else None, choice.ct.key if choice.ct else None)
