"""Times the whole evaluation against a plain loop of scikit-learn and scipy for the same numbers.

Artificial predictions, by default 3 experiments x 26 tasks x 5 seeds x 814 exams, are scored with
10,000 bootstrap draws and 10,000 permutation rounds: tables, all figures and the page. The plain
loop calls roc_auc_score for every draw and round; it is timed on a few draws of a few tasks and its
time is multiplied up, since the whole would take a day.

Example:
    python benchmarks/evaluation_speed.py
"""

import argparse
import logging
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from petct_ext.cli import new_parser, run
from petct_ext.ontology import RegionOntology
from petct_ext.pages.evaluation import write_evaluation
from petct_ext.statistics.alignment import align_experiments
from petct_ext.statistics.evaluation import EvaluationOptions, evaluate_experiments
from petct_ext.statistics.predictions import Experiment, as_experiments, read_predictions

ONTOLOGY = RegionOntology.default()


def write_predictions(folder: Path, arguments: argparse.Namespace) -> list[Path]:
    generator = np.random.default_rng(0)
    tasks, exams = arguments.tasks, arguments.exams
    prevalence = generator.uniform(0.05, 0.5, tasks)
    target = generator.random((tasks, exams)) < prevalence[:, None]
    index = pd.MultiIndex.from_product(
        [range(arguments.seeds), ["test"], [f"task_{t}" for t in range(tasks)],
         [f"E{i}" for i in range(exams)]],
        names=["seed", "split", "task", "exam_id"],
    )  # fmt: skip
    paths = []
    for name in range(arguments.experiments):
        logit = generator.normal(size=(arguments.seeds, tasks, exams)) + (1.2 + 0.1 * name) * target
        table = index.to_frame(index=False)
        table.insert(0, "experiment", f"experiment_{name}")
        table["target"] = np.broadcast_to(target, logit.shape).ravel().astype(int)
        table["prob"] = (1 / (1 + np.exp(1.5 - logit))).round(7).ravel()
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    return paths


def seconds_of_plain_loop(experiments: list[Experiment], *, rounds: int, sample: int) -> float:
    """Seconds that bootstrap and paired permutation by roc_auc_score would take for everything."""
    first, second = experiments[0], experiments[-1]
    generator = np.random.default_rng(0)
    spent = 0.0
    tasks = range(0, len(first.tasks), max(1, len(first.tasks) // 3))
    for t in tasks:
        target, a, b = first.target[t], first.prob[0, t], second.prob[0, t]
        start = time.perf_counter()
        stats.bootstrap(
            (a, target), lambda p, y: roc_auc_score(y, p), paired=True, vectorized=False,
            n_resamples=sample, method="percentile", rng=generator,
        )  # fmt: skip
        of_draw = (time.perf_counter() - start) / sample
        ranks = np.stack([stats.rankdata(a), stats.rankdata(b)])
        start = time.perf_counter()
        stats.permutation_test(
            tuple(ranks),
            lambda x, y, y_true=target: roc_auc_score(y_true, x) - roc_auc_score(y_true, y),
            permutation_type="samples", vectorized=False, n_resamples=sample, rng=generator,
        )  # fmt: skip
        of_round = (time.perf_counter() - start) / sample
        seeds, num = len(first.seeds), len(experiments)
        pairs = num * (num - 1) / 2
        # Draws of every seed and of the ensemble; rounds of every seed of every pair.
        spent += rounds * (of_draw * num * (seeds + 1) + of_round * pairs * seeds)
    return spent / len(tasks) * len(first.tasks)


def main(arguments: argparse.Namespace) -> None:
    logging.getLogger("petct_ext").setLevel(logging.ERROR)
    options = EvaluationOptions(num_bootstrap=arguments.rounds, num_rounds=arguments.rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_predictions(folder, arguments)
        before, start = _cpu_s(), time.perf_counter()
        experiments = align_experiments(
            as_experiments(
                read_predictions(paths, split="test"), default_kind="hand", ontology=ONTOLOGY
            )
        )
        read = time.perf_counter()
        tables = evaluate_experiments(experiments, options)
        computed = time.perf_counter()
        write_evaluation(experiments, tables, folder / "report", options=options, ontology=ONTOLOGY)
        end = time.perf_counter()
        whole_s = end - start
        print(
            f"whole report {whole_s:.1f} s ({_cpu_s() - before:.1f} s of CPU): read "
            f"{read - start:.1f}, compute {computed - read:.1f}, draw and write "
            f"{end - computed:.1f}"
        )
    plain = seconds_of_plain_loop(experiments, rounds=arguments.rounds, sample=arguments.sample)
    print(
        f"plain loop for the bootstrap and permutation numbers (from {arguments.sample} draws): "
        f"{plain / 3600:.1f} h; {plain / (computed - read):.0f} times our computing, "
        f"{plain / whole_s:.0f} times the whole report"
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--experiments", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=26)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--exams", type=int, default=814)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=100, help="draws of the plain loop")
    run(main, parser)
