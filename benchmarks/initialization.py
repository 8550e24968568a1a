"""Trains the demonstration's scan model from two random starts, side by side.

Delta-orthogonal kernels (what I3DEncoder draws) against independent taps (torch default), same
data, seed and steps. Needs a finished demonstration.

Example:
    make demo && python benchmarks/initialization.py runs/demo --epochs 6
"""

import argparse
import tempfile
from pathlib import Path

from monai.bundle import ConfigWorkflow
from torch import nn

from petct_ext.cli import new_parser, run

CONFIGS = Path(__file__).parents[1] / "bundles" / "scan_model" / "configs"


def train(work: Path, epochs: int, *, independent: bool) -> list[float]:
    """Returns the validation AUROC (weak labels) after each epoch."""
    with tempfile.TemporaryDirectory() as folder:
        workflow = ConfigWorkflow(
            config_file=[str(CONFIGS / "train.json"), str(CONFIGS / "demo.json")],
            logging_file=False,
            workflow_type="train",
            datalist=str(work / "datalist.json"),
            ckpt_dir=folder,
            output_dir=folder,
            epochs=epochs,
            val_interval=1,
        )
        workflow.initialize()
        network = workflow.parser.get_parsed_content("network")
        if independent:
            for module in network.encoder.modules():
                if isinstance(module, nn.Conv3d):
                    module.reset_parameters()
        evaluator = workflow.parser.get_parsed_content("validate#evaluator")
        history: list[float] = []
        evaluator.add_event_handler(
            "EPOCH_COMPLETED", lambda e: history.append(float(e.state.metrics["val_mean_auroc"]))
        )
        workflow.run()
        workflow.finalize()
    return history


def main(arguments: argparse.Namespace) -> None:
    print("validation AUROC on weak labels, artificial patients, after each epoch")
    for name, independent in (("delta-orthogonal", False), ("independent taps", True)):
        history = train(arguments.work, arguments.epochs, independent=independent)
        print(f"{name:18s}", " ".join(f"{value:.2f}" for value in history))


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("work", type=Path, help="work folder of a finished demonstration")
    parser.add_argument("--epochs", type=int, default=6)
    run(main, parser)
