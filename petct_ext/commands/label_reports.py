"""Makes weak labels: the probability that a region is described as abnormal, for every exam.

With --work: reads WORK/private/report_items.json and WORK/mentions.csv (written by the bundle
report_labeler; with --labeler rules they come from rules, without any model) and writes
WORK/labels.csv (all regions), WORK/label_prevalence.csv and, with --hand-labels,
WORK/label_audit.csv. With --text: prints for loose text files each region with its probability
and the words that caused it, by the shipped model if the extra 'encoder' is installed, else by
rules. Ends with code 3 if some reports could not be labeled: the others are;
WORK/private/report_problems.csv (with --text: stderr) names each with the reason.

Examples:
    python scripts/label_reports.py --work runs/mine --hand-labels data/hand_labels.csv
    python scripts/label_reports.py --text report.txt
    python scripts/label_reports.py --text report.txt --model-dir runs/mine/report_labeler
    python scripts/label_reports.py --text report.txt --labeler rules
    python scripts/label_reports.py --text report.txt --show-sections
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.labeler.preparation import read_report_problems
from petct_ext.labeler.wording import describe_mentions
from petct_ext.labels.weak_labels import write_weak_labels
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.reading import show_sections
from petct_ext.reports.texts import read_report_text


def command(arguments: argparse.Namespace) -> int:
    if (arguments.work is None) == (not arguments.text):
        raise InputDataError("give either --work FOLDER or --text FILE...; see --help.")
    if arguments.text and arguments.show_sections:
        for path in arguments.text:
            print(f"\n{path}:\n{show_sections(read_report_text(path))}")
        return 0
    if arguments.text:
        return label_text_files(arguments)
    path = write_weak_labels(
        arguments.work,
        arguments.ontology,
        labeler=arguments.labeler or "model",
        policy=arguments.unmentioned,
        hand_labels=arguments.hand_labels,
    )
    if arguments.labeler == "rules":
        print("labeled by rules, without a model")
    print(path)
    problems = read_report_problems(arguments.work)
    if len(problems):
        place = arguments.work / "private" / "report_problems.csv"
        print(f"{len(problems)} rows or reports had a problem: {place}")
    return SOME_FAILED if len(problems) else 0


def label_text_files(arguments: argparse.Namespace) -> int:
    from petct_ext.labeler.prediction import choose_labeler, label_files  # loads torch

    labeler, told = choose_labeler(arguments.labeler, arguments.model_dir)
    found = label_files(arguments.text, labeler, arguments.ontology)
    if not found.texts:
        raise InputDataError(found.problems[0]["problem"])
    print(told)
    for name, text in found.texts.items():
        print(f"\n{name}: {len(found.mentions[name])} mentions")
        for line in describe_mentions(
            text, found.labels[name], found.mentions[name], contexts=found.contexts[name]
        ):
            print(line)
    for problem in found.problems:
        sys.stderr.write(f"not labeled: {problem['problem']}\n")
    return SOME_FAILED if found.problems else 0


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, help="work folder of the cohort")
    parser.add_argument(
        "--text", type=Path, nargs="+", default=[], help="text files, a report each"
    )
    parser.add_argument(
        "--show-sections",
        action="store_true",
        help="with --text: print each text with its sections, and label nothing",
    )
    parser.add_argument(
        "--model-dir",
        type=Path,
        help="with --text: folder with model.pt; the shipped one by default",
    )
    parser.add_argument(
        "--labeler",
        choices=["model", "rules"],
        help="model by default; with --text rules where the shipped model cannot run",
    )
    parser.add_argument(
        "--unmentioned",
        choices=["normal", "unknown"],
        default="normal",
        help="label of a region that a report does not mention: 0 (as published) or missing",
    )
    parser.add_argument(
        "--hand-labels", type=Path, help="table of a reader's labels, for scoring only"
    )
    add_ontology_option(parser)
    run(command, parser)
