"""Proposes what the ontology may lack: frequent words of reports that no region is named by.

Counts k-grams (k = 1, 2, 3) of findings and impressions outside all mentions and writes those that
occur often as CSV: words, count, the region they most often stand beside, and the share of these.
A high share speaks for a synonym of that region, a low one for a new region or for none: a person
decides. Words of reports are in the file: keep it as private as the reports.

Example:
    python scripts/propose_regions.py --reports data/reports.csv --out runs/mine/private/ngrams.csv
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import pandas as pd

from petct_ext.cli import new_parser, progress, run
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.ngrams import count_untagged_ngrams
from petct_ext.reports.rows import read_report_rows
from petct_ext.tables.contract import write_csv


def command(arguments: argparse.Namespace) -> None:
    table, problems = read_report_rows(arguments.reports, encoding=arguments.encoding)
    texts = progress(table["text"].tolist(), "reports")
    found = count_untagged_ngrams(texts, arguments.ontology, min_count=arguments.min_count)
    columns = ["words", "count", "beside", "share"]
    rows = pd.DataFrame([asdict(ngram) for ngram in found], columns=columns)
    write_csv(rows, arguments.out)
    for problem in problems[:5]:
        print(f"left out: line {problem.line}: {problem.message}")
    print(f"{len(found)} k-grams in {len(table)} reports: {arguments.out}")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--reports", type=Path, required=True, help="reports.csv")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--min-count", type=int, default=35, help="rarer k-grams are left out")
    parser.add_argument("--encoding", help="code page of reports that are not UTF-8")
    add_ontology_option(parser)
    run(command, parser)
