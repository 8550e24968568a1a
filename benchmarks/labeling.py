r"""Measures the labeling of reports: tagging, model, both, and what a lower precision costs.

Reports are artificial (petct_ext.synthetic) unless --reports names a CSV, Parquet file or folder.
Reports repeat sentences, and each distinct one is labeled once. How often they do differs between
hospitals, so every figure is given twice: with the repetition of these reports, and with none, as
if no sentence came twice. The projection for a cohort uses the share of distinct sentences in these
reports; in a larger cohort it is smaller.

Wall time needs an idle machine; processor time (CPU s) also holds on a busy one. With --annotated,
files of annotated reports, the AUROC on their mentions is measured for every precision: fp32, bf16
(autocast) and int8 (torch dynamic quantization of the linear layers).

Examples:
    python benchmarks/labeling.py
    python benchmarks/labeling.py --annotated ../shared/reports/dev.jsonl \
        --precisions fp32 bf16 int8
"""

import argparse
import contextlib
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from petct_ext.cli import new_parser, run
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labeler.report_files import read_reports
from petct_ext.labels.agreement import binary_scores
from petct_ext.ontology import RegionOntology
from petct_ext.reports.context import report_sentences
from petct_ext.reports.items import (
    SentenceTagger,
    items_of_texts,
    read_annotated_texts,
    tag_report,
)
from petct_ext.reports.readable import readable_text
from petct_ext.reports.repeats import join_repeats
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.reports.writing import write_report
from petct_ext.tables.schemas import MENTIONS, write_table

ONTOLOGY = RegionOntology.default()

REPOSITORY = Path(__file__).parents[1]
COHORT = 8144
"""Reports of the published cohort."""
Items = list[dict[str, Any]]


@dataclass
class Timing:
    """Seconds on the wall clock and of all processors."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: "Timing") -> "Timing":
        return Timing(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def times(self, factor: float) -> "Timing":
        """Returns the time of ``factor`` times the work."""
        return Timing(self.wall_s * factor, self.cpu_s * factor)


def clock(work: Callable[[], Any]) -> tuple[Any, Timing]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = work()
    return result, Timing(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def artificial_reports(number: int) -> dict[str, str]:
    texts: dict[str, str] = {}
    for patient in sample_patients(number, seed=3):
        for exam in patient.exams:
            rng = np.random.default_rng([3, patient.number, exam.number])
            texts[f"{patient.number}_{exam.number}"] = write_report(
                patient, exam, rng=rng, ontology=ONTOLOGY
            ).text
        if len(texts) >= number:
            break
    return dict(list(texts.items())[:number])


def tag_all(texts: dict[str, str]) -> Items:
    tagger = SentenceTagger(RegionOntology.default())
    return [item for name, text in texts.items() for item in tag_report(name, text, tagger)]


def tag_without_memory(texts: dict[str, str]) -> Items:
    tagger = SentenceTagger(RegionOntology.default(), max_cached=0)
    return [item for name, text in texts.items() for item in tag_report(name, text, tagger)]


def load(folder: Path, precision: str) -> ReportPredictor:
    predictor = ReportPredictor(folder)
    if precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.ao is to move to torchao
            predictor.network.encoder = torch.ao.quantization.quantize_dynamic(
                predictor.network.encoder, {torch.nn.Linear}, dtype=torch.qint8
            )
    return predictor


def predict(predictor: ReportPredictor, items: Items, precision: str) -> Items:
    context = (
        torch.autocast("cpu", dtype=torch.bfloat16)
        if precision == "bf16"
        else contextlib.nullcontext()
    )
    with context:
        return predictor.predict(items, batch_size=128)


def write(rows: Items) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_table(pd.DataFrame(rows), Path(folder) / "mentions.csv", MENTIONS)


def tell(what: str, number: int, timing: Timing) -> None:
    rate, busy = number / timing.wall_s, number / timing.cpu_s
    projected = timing.times(COHORT / number)
    print(
        f"{what:28s} {rate:7.1f} reports/s, {busy:7.1f} per CPU s; {COHORT} reports: "
        f"{projected.wall_s / 60:5.1f} min wall, {projected.cpu_s / 60:5.1f} min CPU"
    )


def measure_speed(
    texts: dict[str, str], predictor: ReportPredictor, *, precision: str, sample: int
) -> None:
    """Times the parts; the model on a random sample of the distinct sentences."""
    number = len(texts)
    tag_all(dict(list(texts.items())[:3]))  # compiles the patterns
    items, tagging = clock(lambda: tag_all(texts))
    _, tagging_anew = clock(lambda: tag_without_memory(texts))
    joined = join_repeats(items)
    readable = [readable_text(text) for text in texts.values()]
    sentences = [text[s.start : s.end] for text in readable for s in report_sentences(text)]
    mean_kb = np.mean([len(text) for text in texts.values()]) / 1000
    print(
        f"{number} reports of {mean_kb:.1f} kB, {len(sentences)} sentences "
        f"({len(set(sentences)) / len(sentences):.0%} of them distinct); {len(items)} name a "
        f"region ({len(joined) / len(items):.0%} distinct); {torch.get_num_threads()} threads"
    )
    tell("tagging", number, tagging)
    tell("tagging, no repetition", number, tagging_anew)
    order = np.random.default_rng(0).permutation(len(joined))[:sample].tolist()
    chosen = [{**joined[i], "copies": []} for i in order]
    predict(predictor, chosen[:128], precision)  # warm up
    _, tokenizing = clock(lambda: [predictor.tokenize(item) for item in chosen])
    rows, model = clock(lambda: predict(predictor, chosen, precision))
    _, writing = clock(lambda: write(rows))
    share = len(joined) / len(chosen)
    anew = len(items) / len(chosen)
    print(
        f"model, {precision}: {len(chosen) / model.wall_s:.0f} distinct sentences/s, "
        f"{len(chosen) / model.cpu_s:.0f} per CPU s, of which tokenizing takes "
        f"{tokenizing.cpu_s / model.cpu_s:.0%}"
    )
    tell("model", number, model.times(share))
    tell("model, no repetition", number, model.times(anew))
    tell("writing mentions", number, writing.times(anew))
    tell("all", number, tagging + model.times(share) + writing.times(anew))
    tell("all, no repetition", number, tagging_anew + model.times(anew) + writing.times(anew))


def compare_precisions(
    folder: Path, judged: Items, precisions: Sequence[str], predictor: ReportPredictor
) -> None:
    """Prints speed and AUROC on annotated mentions for each precision."""
    label = {
        (item["exam_id"], m["start"], m["end"], m["region"]): m["label"]
        for item in judged
        for m in item["mentions"]
    }
    exact: list[float] = []
    for precision in precisions:
        if precision != precisions[0]:
            predictor = load(folder, precision)
        predict(predictor, judged, precision)  # warm up
        rows, timing = clock(partial(predict, predictor, judged, precision))
        found = [row["probability"] for row in rows]
        truth = [label[r["exam_id"], r["start"], r["end"], r["region"]] for r in rows]
        exact = exact or found
        scores = binary_scores(found, truth)
        change = np.abs(np.array(found) - np.array(exact))
        flips = int(((np.array(found) >= 0.5) != (np.array(exact) >= 0.5)).sum())
        print(
            f"{precision}: {len(judged) / timing.wall_s:.0f} sentences/s, "
            f"{len(judged) / timing.cpu_s:.0f} per CPU s; AUROC {scores['auroc']:.4f}, F1 "
            f"{scores['f1']:.4f} on {len(found)} mentions; change of a probability: largest "
            f"{change.max():.3f}, mean {change.mean():.4f}; {flips} cross 0.5"
        )


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    if arguments.reports is None:
        texts = artificial_reports(arguments.number)
    else:
        texts = dict(list(read_reports(arguments.reports).texts.items())[: arguments.number])
    first = arguments.precisions[0]
    predictor = load(arguments.model_dir, first)
    measure_speed(texts, predictor, precision=first, sample=arguments.sample)
    if arguments.annotated:
        annotated = [text for path in arguments.annotated for text in read_annotated_texts(path)]
        judged = items_of_texts(annotated, SentenceTagger(ONTOLOGY))[0]
        compare_precisions(arguments.model_dir, judged, arguments.precisions, predictor)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument(
        "--model-dir",
        type=Path,
        default=REPOSITORY / "bundles" / "report_labeler" / "models",
        help="folder with model.pt; the shipped model by default",
    )
    parser.add_argument("--reports", type=Path, help="CSV, Parquet file or folder of reports")
    parser.add_argument(
        "--annotated", type=Path, nargs="+", default=[], help="JSONL of annotated reports"
    )
    parser.add_argument("--precisions", nargs="+", default=["fp32"], help="fp32, bf16, int8")
    parser.add_argument("--number", type=int, default=1000, help="most reports")
    parser.add_argument(
        "--sample", type=int, default=1500, help="most distinct sentences that the model reads"
    )
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    run(main, parser)
