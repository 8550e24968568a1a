r"""Measures the labeling of reports: tagging and model, reports/s, and what precision costs.

Reports are artificial (petct_ext.synthetic) unless --reports names a CSV, Parquet file or folder.
With --annotated, a JSONL file of annotated reports, the AUROC on its mentions is measured for every
precision: fp32, bf16 (autocast) and int8 (torch dynamic quantization of the linear layers).

Example:
    python benchmarks/labeling.py --model-dir bundles/report_labeler/models \
        --annotated ../shared/reports/dev.jsonl
"""

import argparse
import contextlib
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from petct_ext.command_line import new_parser, run
from petct_ext.data.annotated_texts import items_of_texts, read_annotated_texts
from petct_ext.data.report_items import SentenceTagger, tag_report
from petct_ext.data.report_sources import read_reports
from petct_ext.engines.report_predictor import ReportPredictor
from petct_ext.labels import binary_scores
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.reports import write_report

PRECISIONS = ("fp32", "bf16", "int8")


def artificial_reports(number: int) -> dict[str, str]:
    texts: dict[str, str] = {}
    for patient in sample_patients(number, seed=3):
        for exam in patient.exams:
            rng = np.random.default_rng([3, patient.number, exam.number])
            texts[f"{patient.number}_{exam.number}"] = write_report(patient, exam, rng=rng).text
    return dict(list(texts.items())[:number])


def load(folder: Path, precision: str) -> ReportPredictor:
    predictor = ReportPredictor(folder)
    if precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.ao is to move to torchao
            predictor.network.encoder = torch.ao.quantization.quantize_dynamic(
                predictor.network.encoder, {torch.nn.Linear}, dtype=torch.qint8
            )
    return predictor


def predict(
    predictor: ReportPredictor, items: Sequence[dict[str, Any]], precision: str
) -> list[dict[str, Any]]:
    context = (
        torch.autocast("cpu", dtype=torch.bfloat16)
        if precision == "bf16"
        else contextlib.nullcontext()
    )
    with context:
        return predictor.predict(items)


def distinct(items: Sequence[dict[str, Any]]) -> int:
    return len({(item["text"], item["section"]) for item in items})


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    if arguments.reports is None:
        texts = artificial_reports(arguments.number)
    else:
        texts = dict(list(read_reports(arguments.reports).texts.items())[: arguments.number])
    tagger = SentenceTagger(RegionOntology.default())
    began = time.perf_counter()
    items = [item for name, text in texts.items() for item in tag_report(name, text, tagger)]
    tagging_s = time.perf_counter() - began
    mentions = sum(len(item["mentions"]) for item in items)
    print(
        f"{len(texts)} reports, {len(items)} sentences with {mentions} mentions, "
        f"{distinct(items)} of them distinct; {arguments.threads} threads"
    )
    print(f"tagging: {tagging_s:.1f} s, {len(texts) / tagging_s:.0f} reports/s")
    shuffled = [items[i] for i in np.random.default_rng(0).permutation(len(items)).tolist()]
    judged = []
    if arguments.annotated is not None:
        judged = items_of_texts(read_annotated_texts(arguments.annotated))[0]
    exact: list[float] = []
    for precision in PRECISIONS:
        predictor = load(arguments.model_dir, precision)
        predict(predictor, items[:32], precision)  # warm up
        began = time.perf_counter()
        predict(predictor, shuffled, precision)
        model_s = time.perf_counter() - began
        line = (
            f"{precision}: model {model_s:.1f} s, {len(items) / model_s:.0f} sentences/s; "
            f"with tagging {len(texts) / (model_s + tagging_s):.1f} reports/s"
        )
        if judged:
            rows = predict(predictor, judged, precision)
            found = [row["probability"] for row in rows]
            exact = exact or found
            ordered = sorted(
                (
                    (i["exam_id"], m["start"], m["end"], m["region"], m["label"])
                    for i in judged
                    for m in i["mentions"]
                ),
            )
            auroc = binary_scores(found, [x[4] for x in ordered])["auroc"]
            change = float(np.abs(np.array(found) - np.array(exact)).max())
            line += f"; AUROC {auroc:.4f}, largest change of a probability {change:.3f}"
        print(line)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with model.pt")
    parser.add_argument("--reports", type=Path, help="CSV, Parquet file or folder of reports")
    parser.add_argument("--annotated", type=Path, help="JSONL of annotated reports, for the AUROC")
    parser.add_argument("--number", type=int, default=300, help="most reports")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    run(main, parser)
