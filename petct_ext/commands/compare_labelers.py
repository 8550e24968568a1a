r"""Compares report labelers on annotated reports: regex baseline, rules and a trained model.

Reads a JSONL file, an object a line: id, text, mentions [{start, end, region, abnormal}]. Writes
OUT/labeler_comparison.csv: sensitivity, specificity, F1 and AUROC with 95 % intervals (bootstrap
over reports) for annotated mentions, for mentions as each labeler finds them, and for the main
regions of a report (micro, macro, each); and OUT/tagging_scores.csv: how many mentions are found at
all, which is the same for all labelers. --predictions puts tables beside them that other
labelers wrote, a language model say, in the columns of mentions.csv, or with the words quoted in
place of offsets. With --errors also OUT/private/labeler_errors.csv: wrongly
judged mentions with their sentences. It holds report text: keep it as private as the reports.

Examples:
    python scripts/compare_labelers.py --reports annotated.jsonl --out runs/mine
    python scripts/compare_labelers.py --reports annotated.jsonl --out runs/mine \
        --model-dir runs/mine/report_labeler --errors
    python scripts/compare_labelers.py --reports annotated.jsonl --out runs/mine \
        --predictions language_model.csv
"""

import argparse
from pathlib import Path
from typing import NoReturn

import pandas as pd

from petct_ext.bundle.root import bundle_root
from petct_ext.cli import new_parser, run
from petct_ext.labeler.comparison import (
    MentionLabeler,
    compare_labelers,
    list_errors,
    score_tagging,
)
from petct_ext.labeler.given_predictions import read_other_predictions
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.baseline import RegexLabeler
from petct_ext.reports.items import read_annotated_texts
from petct_ext.reports.rules import RuleLabeler
from petct_ext.tables.contract import write_csv


def command(arguments: argparse.Namespace) -> None:
    texts = [text for path in arguments.reports for text in read_annotated_texts(path)]
    labelers: dict[str, MentionLabeler] = {"regex": RegexLabeler(), "rules": RuleLabeler()}
    if not arguments.without_model:
        from petct_ext.labeler.prediction import ReportPredictor  # loads transformers

        folder = arguments.model_dir or Path(bundle_root("report_labeler")) / "models"
        labelers["model"] = ReportPredictor(folder)
    for path in arguments.predictions:
        labelers[path.stem] = read_other_predictions(path, texts, arguments.ontology)
    table = compare_labelers(
        labelers, texts, arguments.ontology, draws=arguments.draws, seed=arguments.seed
    )
    path = arguments.out / "labeler_comparison.csv"
    write_csv(table, path)
    print_summary(table)
    print(path)
    tagging = score_tagging(texts, arguments.ontology, draws=arguments.draws, seed=arguments.seed)
    path = arguments.out / "tagging_scores.csv"
    write_csv(tagging, path)
    for row in tagging.to_dict("records"):
        interval = f"({row['low']:.3f}-{row['high']:.3f})"
        print(f"tagging {row['what']:15s} {row['value']:.3f} {interval} of {row['num']:.0f}")
    print(path)
    if arguments.errors:
        rows = [
            {"labeler": name, **row}
            for name, labeler in labelers.items()
            for row in list_errors(labeler, texts, arguments.ontology)
        ]
        path = arguments.out / "private" / "labeler_errors.csv"
        write_csv(pd.DataFrame(rows), path)
        print(f"{path}: {len(rows)} errors, with report text")


def print_summary(table: pd.DataFrame) -> None:
    chosen = table[table["what"].isin(["mentions", "mentions_found", "micro", "macro"])]
    print(f"{'labeler':10s} {'what':15s}  AUROC (95 % CI)      F1 (95 % CI)         sens.  spec.")
    for row in chosen.to_dict("records"):
        print(
            f"{row['labeler']:10s} {row['what']:15s}  "
            + "  ".join(
                f"{row[k]:.3f} ({row[k + '_low']:.2f}-{row[k + '_high']:.2f})"
                for k in ("auroc", "f1")
            )
            + f"  {row['sensitivity']:.3f}  {row['specificity']:.3f}"
        )


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--reports", type=Path, nargs="+", required=True, help="JSONL files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument(
        "--model-dir", type=Path, help="folder with model.pt; the shipped model by default"
    )
    parser.add_argument(
        "--without-model", action="store_true", help="compare the regex baseline and the rules only"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="+",
        default=[],
        help="tables of other labelers: exam_id, start and end (or quotation), region, probability",
    )
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws, 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--errors", action="store_true", help="list errors with their sentences")
    add_ontology_option(parser)
    run(command, parser)
