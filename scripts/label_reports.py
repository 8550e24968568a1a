"""Makes weak labels: the probability that a region is described as abnormal, for every exam.

With --work: reads WORK/private/report_items.json and WORK/mentions.csv (written by the bundle
report_labeler; with --labeler rules they come from rules, without any model) and writes
WORK/labels.csv (all regions), WORK/label_prevalence.csv and, with --hand-labels,
WORK/label_audit.csv. With --text: prints for loose text files each region with its probability
and the words that caused it.

Examples:
    python scripts/label_reports.py --work runs/mine --hand-labels data/hand_labels.csv
    python scripts/label_reports.py --text report.txt --model-dir runs/mine/report_labeler
    python scripts/label_reports.py --text report.txt --labeler rules
"""

import argparse
from pathlib import Path

from petct_ext.command_line import new_parser, run
from petct_ext.data.report_items import SentenceTagger, tag_report
from petct_ext.data.report_texts import describe_mentions, read_report_text
from petct_ext.data.weak_labels import rule_mention_rows, write_weak_labels
from petct_ext.errors import InputDataError
from petct_ext.labels import region_probabilities
from petct_ext.ontology import RegionOntology


def main(arguments: argparse.Namespace) -> None:
    if (arguments.work is None) == (not arguments.text):
        raise InputDataError("give either --work FOLDER or --text FILE...; see --help.")
    if arguments.text:
        label_texts(arguments)
        return
    path = write_weak_labels(
        arguments.work,
        RegionOntology.default(),
        labeler=arguments.labeler,
        policy=arguments.unmentioned,
        hand_labels=arguments.hand_labels,
    )
    if arguments.labeler == "rules":
        print("labeled by rules, without a model")
    print(path)


def label_texts(arguments: argparse.Namespace) -> None:
    ontology = RegionOntology.default()
    texts = {str(path): read_report_text(path) for path in arguments.text}
    tagger = SentenceTagger(ontology)
    items = [item for name, text in texts.items() for item in tag_report(name, text, tagger)]
    if arguments.labeler == "rules":
        rows = [dict(row) for row in rule_mention_rows(items)]
        print("labeled by rules, without a model")
    elif arguments.model_dir is None:
        raise InputDataError("--text needs --model-dir FOLDER (with model.pt) or --labeler rules.")
    else:
        from petct_ext.engines.report_predictor import ReportPredictor  # loads transformers

        rows = ReportPredictor(arguments.model_dir).predict(items)
    for name, text in texts.items():
        own = [row for row in rows if row["exam_id"] == name]
        spans = [(row["start"], row["end"], row["region"], row["probability"]) for row in own]
        print(f"\n{name}: {len(own)} mentions")
        for line in describe_mentions(text, region_probabilities(spans, ontology), own):
            print(line)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, help="work folder of the cohort")
    parser.add_argument(
        "--text", type=Path, nargs="+", default=[], help="text files, a report each"
    )
    parser.add_argument("--model-dir", type=Path, help="with --text: folder with model.pt")
    parser.add_argument("--labeler", choices=["model", "rules"], default="model")
    parser.add_argument(
        "--unmentioned",
        choices=["normal", "unknown"],
        default="normal",
        help="label of a region that a report does not mention: 0 (as published) or missing",
    )
    parser.add_argument(
        "--hand-labels", type=Path, help="table of a reader's labels, for scoring only"
    )
    run(main, parser)
