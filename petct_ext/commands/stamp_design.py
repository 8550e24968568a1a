"""Writes into weights what network they are of and what they were trained to see: their design.

Prediction, evaluation, export and fine-tuning read it from the file. Weights of this version have
it; give older ones the configuration files of their training, all of them, in order. The tensors
stay as they are.

Example:
    python scripts/stamp_design.py old/model.pt --config bundles/scan_model/configs/train.json \
        my_sizes.json --out new/model.pt
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run


def command(arguments: argparse.Namespace) -> None:
    from monai.bundle import ConfigParser

    from petct_ext.files import require_file
    from petct_ext.scan.networks.stamping import stamp_design

    config = ConfigParser()
    config.read_config([require_file(path) for path in arguments.config])
    config["bundle_root"] = str(arguments.config[0].resolve().parents[1])
    config["device"] = "$torch.device('cpu')"
    weights = require_file(arguments.weights)
    print(stamp_design(config.get_parsed_content("network"), weights, arguments.out or weights))


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("weights", type=Path, help="model.pt")
    parser.add_argument(
        "--config", type=Path, nargs="+", required=True, help="train.json, then what was on top"
    )
    parser.add_argument("--out", type=Path, help="file to write (default: the same)")
    run(command, parser)
