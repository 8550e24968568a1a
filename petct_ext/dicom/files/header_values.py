"""Values that all slices of a series share, read strictly: the error names tag and value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue

from petct_ext.dicom.suv.audit import element_name
from petct_ext.errors import InputDataError

__all__ = [
    "common_number",
    "common_text",
    "converted",
    "numbers",
    "positive",
    "private_element",
    "texts",
]

_T = TypeVar("_T")
_SUPPLY = dict.fromkeys(
    ("PatientWeight", "RadionuclideTotalDose", "RadionuclideHalfLife"),
    "Supply it (--suv-overrides). ",
)


def texts(datasets: Sequence[pydicom.Dataset], keyword: str) -> list[str]:
    """Returns an element of each slice as text; empty where it is missing."""
    tag = tag_for_keyword(keyword) or 0  # by number is twice as fast as by keyword
    known: dict[int, tuple[object, str]] = {}  # slices share equal elements: each is read once
    found = []
    for dataset in datasets:
        element = dataset.get_item(tag) if tag in dataset else None
        if id(element) not in known:
            text = "" if element is None else _text(dataset[tag].value)
            known[id(element)] = element, text
        found.append(known[id(element)][1])
    return found


def common_text(datasets: Sequence[pydicom.Dataset], keyword: str) -> str:
    """Returns the text that all slices hold, empty if none does.

    Raises:
        InputDataError: if slices disagree, as they do where series are mixed in one folder.
    """
    found = sorted(set(texts(datasets, keyword)))
    if len(found) > 1:
        shown = ", ".join(repr(text) for text in found[:3])
        raise InputDataError(
            f"{element_name(keyword)} differs within the series ({shown}); split the series."
        )
    return found[0] if found else ""


def common_number(datasets: Sequence[pydicom.Dataset], keyword: str) -> float:
    """Returns the number that all slices hold.

    Raises:
        InputDataError: if it is missing, not a number, not finite, or not the same everywhere.
    """
    return _number(common_text(datasets, keyword), keyword)


def numbers(datasets: Sequence[pydicom.Dataset], keyword: str) -> npt.NDArray[np.float64]:
    """Returns a number per slice (Z,); NaN where it is missing.

    Raises:
        InputDataError: if a text is no finite number.
    """
    found = [_number(text, keyword) if text else math.nan for text in texts(datasets, keyword)]
    return np.array(found, dtype=np.float64)


def positive(value: float, keyword: str, *, unit: str) -> float:
    """Returns ``value`` if it is above zero.

    Raises:
        InputDataError: otherwise.
    """
    if not value > 0:
        raise InputDataError(
            f"{element_name(keyword)} is {value:g}; it must be a positive number of {unit}."
        )
    return value


def private_element(
    dataset: pydicom.Dataset, group: int, creator: str, *, offset: int
) -> tuple[str, str | None] | None:
    """Returns a vendor's element as text, also where it was stored as bytes of unknown meaning.

    Args:
        dataset: one slice.
        group: odd group number.
        creator: the Private Creator that must own the block, compared without case and blanks.
        offset: the element within its block, such as ``0x0D``.

    Returns:
        The text and the creator found (None where the block has none, and 10 was taken for it);
        None if there is no such element or it belongs to another creator.
    """
    first, last = (group << 16) + 0x10, (group << 16) + 0xFF
    blocks = {
        tag & 0xFFFF: _text(dataset[tag].value)
        for tag in map(int, dataset.keys())  # comparing pydicom's own tags is slow
        if first <= tag <= last
    }
    for block, owner in blocks.items():
        if _plain(owner) == _plain(creator):
            text = _private_text(dataset, (group, (block << 8) + offset))
            return None if text is None else (text, owner)
    if 0x10 in blocks:
        return None
    text = _private_text(dataset, (group, 0x1000 + offset))
    return None if text is None else (text, None)


def converted(kind: Callable[[str], _T | None], text: str) -> _T | None:
    """Returns a text as pydicom's type of a date or time (DA, TM, DT), None if it is none."""
    try:
        return kind(text)
    except ValueError:
        return None


def _private_text(dataset: pydicom.Dataset, tag: tuple[int, int]) -> str | None:
    return _text(dataset[tag].value) if tag in dataset else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        value = "\\".join(str(each) for each in value)
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    return str(value).strip("\0 ")


def _plain(text: str) -> str:
    return "".join(text.split()).lower()


def _number(text: str, keyword: str) -> float:
    if not text:
        raise InputDataError(
            f"{element_name(keyword)} is missing or empty; SUV cannot be computed without it. "
            f"{_SUPPLY.get(keyword, '')}Correct the header or leave the exam out."
        )
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputDataError(f"{element_name(keyword)} is {text!r}, not a finite number.")
    return value
