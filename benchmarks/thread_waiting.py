"""Compares how OpenMP's threads wait: a training step of the demonstration's network, in ms.

Settings take turns, each in a process of its own, on an idle machine and beside busy loops (two per
core). Threads that spin long are as fast on an idle machine and slow everything on a busy one;
``petct_ext.pipeline.forked`` sets GOMP_SPINCOUNT for the steps of the pipeline.

Example:
    python benchmarks/thread_waiting.py --rounds 3
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from torch.nn import functional as F

from petct_ext.cli import new_parser, run

CONFIGS = Path(__file__).parents[1] / "bundles" / "scan_model" / "configs"
SETTINGS = {
    "default": {},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
BUSY = "while True: pass"


def step_ms(steps: int) -> float:
    """Returns the mean time of a step: what a training waits for, hiccups included."""
    parser = ConfigParser()
    parser.read_config([CONFIGS / "train.json", CONFIGS / "demo.json"])
    network = parser.get_parsed_content("network")
    image = torch.rand(4, 2, 48, 48, 76)
    optimizer = torch.optim.Adam(network.parameters())
    seconds = []
    for _ in range(steps + 3):
        start = time.perf_counter()
        optimizer.zero_grad()
        logits = network(image)
        F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.mean(seconds[3:])


def measure(setting: dict[str, str], steps: int, *, loops: int) -> float:
    known = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in known} | setting
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        command = [sys.executable, __file__, "--one", "--steps", str(steps)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return float(done.stdout.split()[-1])


def main(arguments: argparse.Namespace) -> None:
    if arguments.one:
        print(step_ms(arguments.steps))
        return
    loops = 2 * (os.cpu_count() or 1)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in SETTINGS}
    for _ in range(arguments.rounds):
        for name, setting in SETTINGS.items():
            for times, beside in zip(found[name], (0, loops), strict=True):
                times.append(measure(setting, arguments.steps, loops=beside))
    print(f"ms per step, median of {arguments.rounds} rounds; {loops} busy loops")
    for name, (idle, busy) in found.items():
        print(
            f"{name:26s} idle {statistics.median(idle):6.0f}  busy {statistics.median(busy):6.0f}"
        )


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    run(main, parser)
