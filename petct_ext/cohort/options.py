"""Options by which a person decides about exams, the same for all commands that take them."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_choice_options", "add_review_options"]


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--prefer`` and ``--assume-registered``, which the index reads."""
    parser.add_argument(
        "--prefer",
        action="append",
        default=[],
        metavar="[CT:][KEYWORD=]TEXT",
        help="take the series whose element holds TEXT where several would do; may be repeated, "
        "most important first; without KEYWORD the Series Description, e.g. --prefer EARL",
    )
    parser.add_argument(
        "--assume-registered",
        action="store_true",
        help="take a CT of another frame of reference as it lies, without measuring the match",
    )


def add_review_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--suv-overrides`` and ``--accept``, which the preparation reads."""
    parser.add_argument(
        "--suv-overrides", type=Path, help="values that headers lack or have wrong, CSV"
    )
    parser.add_argument(
        "--accept",
        type=Path,
        help="findings that were looked at and are accepted, CSV: exam_id, check, value",
    )
