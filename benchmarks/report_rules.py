"""Measures the finding of mentions and the rule-based labeler on annotated reports.

Prints recall and precision of mentions (region equal and spans overlapping), F1 and AUROC of the
rules on the annotated mentions, and micro / macro F1, sensitivity and specificity of the main
regions per report, where mentions are found and judged by the rules.

The file has one JSON object a line: text, mentions [{start, end, region, abnormal}].

Example:
    python benchmarks/report_rules.py --reports ../shared/reports/dev.jsonl --errors
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.labels.agreement import binary_scores
from petct_ext.ontology import RegionOntology
from petct_ext.reports.mentions import Mention, find_mentions
from petct_ext.reports.rules import rule_probability
from petct_ext.reports.sections import split_sections
from petct_ext.reports.sentences import split_sentences


def read_reports(paths: list[Path]) -> list[dict[str, Any]]:
    reports = []
    for path in paths:
        if not path.is_file():
            raise InputDataError(f"{path} does not exist; give a JSONL file of annotated reports.")
        with path.open(encoding="utf-8") as file:
            reports += [json.loads(line) for line in file if line.strip()]
    return reports


def sentences_of(text: str) -> list[tuple[str, int, int]]:
    return [
        (section.name, start, end)
        for section in split_sections(text)
        for start, end in split_sentences(text, section.start, section.end)
    ]


def judge(text: str, sentences: list[tuple[str, int, int]], start: int, end: int) -> float:
    for section, a, b in sentences:
        if a <= start < b:
            return rule_probability(text[a:b], start - a, end - a, section=section)
    return 0.0


def matches(truth: dict[str, Any], found: Mention) -> bool:
    overlap = found.start < truth["end"] and truth["start"] < found.end
    return bool(overlap and found.region == truth["region"])


def closure(regions: set[str], ontology: RegionOntology) -> set[str]:
    return regions.union(*(ontology.containers(name) for name in regions))


def errors_of(report: dict[str, Any], found: tuple[Mention, ...]) -> Iterator[str]:
    text = report["text"]
    for truth in report["mentions"]:
        if not any(matches(truth, mention) for mention in found):
            around = text[max(0, truth["start"] - 40) : truth["end"] + 40].replace("\n", " ")
            yield f"missed  {truth['region']:28s} {around}"
    for mention in found:
        if not any(matches(truth, mention) for truth in report["mentions"]):
            around = text[max(0, mention.start - 40) : mention.end + 40].replace("\n", " ")
            yield f"extra   {mention.region:28s} {around}"


def score_mentions(reports: list[dict[str, Any]], ontology: RegionOntology) -> None:
    hits: list[bool] = []
    correct: list[bool] = []
    probability: list[float] = []
    label: list[int] = []
    for report in reports:
        text, truths = report["text"], report["mentions"]
        found, sentences = find_mentions(text, ontology), sentences_of(text)
        hits += [any(matches(truth, mention) for mention in found) for truth in truths]
        correct += [any(matches(truth, mention) for truth in truths) for mention in found]
        probability += [judge(text, sentences, t["start"], t["end"]) for t in truths]
        label += [t["abnormal"] for t in truths]
    scores = binary_scores(probability, label)
    print(f"{len(reports)} texts, {len(hits)} annotated mentions")
    print(f"mentions found: recall {np.mean(hits):.3f}, precision {np.mean(correct):.3f}")
    print(f"rules on annotated mentions: AUROC {scores['auroc']:.3f}, F1 {scores['f1']:.3f}")


def score_regions(reports: list[dict[str, Any]], ontology: RegionOntology) -> None:
    regions = ontology.main_regions()
    truth, called = np.zeros((2, len(reports), len(regions)))
    for i, report in enumerate(reports):
        text, sentences = report["text"], sentences_of(report["text"])
        found = find_mentions(text, ontology)
        positive = {m.region for m in found if judge(text, sentences, m.start, m.end) >= 0.5}
        abnormal = {t["region"] for t in report["mentions"] if t["abnormal"]}
        truth[i] = [name in closure(abnormal, ontology) for name in regions]
        called[i] = [name in closure(positive, ontology) for name in regions]
    pooled = binary_scores(called.ravel(), truth.ravel())
    each = [binary_scores(called[:, i], truth[:, i])["f1"] for i in range(len(regions))]
    print(
        f"{len(regions)} main regions: micro F1 {pooled['f1']:.3f}, macro F1 "
        f"{np.nanmean(each):.3f}, sensitivity {pooled['sensitivity']:.3f}, "
        f"specificity {pooled['specificity']:.3f}"
    )


def main(arguments: argparse.Namespace) -> None:
    ontology = RegionOntology.default()
    reports = read_reports(arguments.reports)
    began = time.perf_counter()
    score_mentions(reports, ontology)
    score_regions(reports, ontology)
    print(f"{time.perf_counter() - began:.1f} s")
    if arguments.errors:
        for report in reports:
            for line in errors_of(report, find_mentions(report["text"], ontology)):
                print(f"{report.get('id', ''):12s} {line}")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--reports", type=Path, nargs="+", required=True, help="JSONL files")
    parser.add_argument("--errors", action="store_true", help="list missed and extra mentions")
    run(main, parser)
