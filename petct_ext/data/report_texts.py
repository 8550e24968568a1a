"""Loose text files with reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError

__all__ = ["describe_mentions", "read_report_text"]


def read_report_text(path: str | Path) -> str:
    """Reads a report from a UTF-8 text file.

    Raises:
        InputDataError: if the file is missing, is not UTF-8 text, or is empty.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise InputDataError(f"{path} is no file; give a text file with one report.") from None
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as plain text in UTF-8."
        ) from None
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not text.strip():
        raise InputDataError(f"{path} is empty; give a text file with one report.")
    return text


def describe_mentions(
    text: str,
    labels: Mapping[str, float],
    mentions: Iterable[Mapping[str, Any]],
    *,
    around: int = 30,
) -> list[str]:
    """Returns one line per mentioned region: its probability and the words that caused it.

    Args:
        text: the report.
        labels: probability of each region that is mentioned or contains a mentioned one.
        mentions: rows with ``start, end, region, probability``.
        around: characters shown on both sides of a mention.

    Returns:
        Lines in the order of falling probability. A region that is not mentioned itself, but
        contains mentioned ones, has no words of its own.
    """
    causes: dict[str, list[str]] = {}
    for mention in mentions:
        start, end = mention["start"], mention["end"]
        before = " ".join(text[max(0, start - around) : start].split())
        after = " ".join(text[end : end + around].split())
        words = " ".join(text[start:end].split())
        quoted = f"{mention['probability']:.2f} '{before} [{words}] {after}'"
        causes.setdefault(mention["region"], []).append(quoted)
    ordered = sorted(labels, key=lambda name: (-labels[name], name))
    return [
        f"{labels[name]:5.2f}  {name:32s} "
        + ("; ".join(causes.get(name, [])) or "(from its parts)")
        for name in ordered
    ]
