"""Shows what a trained report labeler reads: attention by groups of words, and colored sentences.

With --work: sentences of WORK/private/report_items.json go through WORK/report_labeler, and the
result goes to WORK/private/labeler_inspection. With --reports: a table REPORTS (CSV) or text files
with a report each, which are tagged first; --model-dir and --out must be given.
Writes attention_by_group.{csv,svg,png}, and with text of reports in them word_effects.csv and
sentences.html, the mentions with the largest errors first: keep the folder private.

Examples:
    python scripts/inspect_labeler.py --work runs/mine
    python scripts/inspect_labeler.py --reports report.txt --model-dir runs/mine/report_labeler \
        --out private/inspection
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.items import SentenceTagger, load_report_items
from petct_ext.reports.reading import read_report
from petct_ext.reports.rows import read_report_table
from petct_ext.reports.texts import read_report_text


def command(arguments: argparse.Namespace) -> None:
    if (arguments.work is None) == (not arguments.reports):
        raise InputDataError("give either --work FOLDER or --reports FILE...; see --help.")
    if arguments.reports and (arguments.model_dir is None or arguments.out is None):
        raise InputDataError("--reports needs --model-dir FOLDER (with model.pt) and --out FOLDER.")
    if arguments.work is None:
        items = tag_files(arguments.reports, SentenceTagger(arguments.ontology))
        model_dir, out = arguments.model_dir, arguments.out
    else:
        private = arguments.work / "private"
        items = load_report_items(private / "report_items.json", arguments.section)
        model_dir = arguments.model_dir or arguments.work / "report_labeler"
        out = arguments.out or private / "labeler_inspection"

    from petct_ext.labeler.prediction import ReportPredictor  # loads transformers
    from petct_ext.pages.labeler import inspect_labeler

    print(
        inspect_labeler(
            ReportPredictor(model_dir),
            items,
            out,
            num_mentions=arguments.num_mentions,
            max_sentences=arguments.max_sentences,
            seed=arguments.seed,
        )
    )


def tag_files(paths: list[Path], tagger: SentenceTagger) -> list[dict[str, Any]]:
    texts: dict[str, str] = {}
    for path in paths:
        if path.suffix.lower() == ".csv":
            table = read_report_table(path)
            texts |= dict(zip(table["study_instance_uid"], table["text"], strict=True))
        else:
            texts[path.stem] = read_report_text(path)
    items = []
    for name, text in texts.items():
        of_text, status = read_report(name, text, tagger)
        items += of_text
        if status.message:
            sys.stderr.write(f"not read: {name}: {status.message}\n")
    return items


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, help="work folder of the cohort")
    parser.add_argument("--reports", type=Path, nargs="+", default=[], help="CSV or text files")
    parser.add_argument("--model-dir", type=Path, help="folder with model.pt and encoder/")
    parser.add_argument("--out", type=Path, help="folder for the result; must be private")
    parser.add_argument(
        "--section",
        default="test",
        help="with --work: training, validation, test (judged mentions) or all (default: test)",
    )
    parser.add_argument("--num-mentions", type=int, default=60, help="how many are shown")
    parser.add_argument("--max-sentences", type=int, default=300, help="of more, some are drawn")
    parser.add_argument("--seed", type=int, default=0)
    add_ontology_option(parser)
    run(command, parser)
