"""The option ``--several-reports`` of the commands."""

from __future__ import annotations

import argparse

from petct_ext.reports.several import SEVERAL

__all__ = ["add_several_option"]


def add_several_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--several-reports``; ``arguments.several_reports`` is one of :data:`SEVERAL`."""
    parser.add_argument(
        "--several-reports",
        choices=SEVERAL,
        default="join",
        help="several rows of reports.csv for one study (addendum, correction): joined in the "
        "order of report_date, or the newest or the first one alone",
    )
