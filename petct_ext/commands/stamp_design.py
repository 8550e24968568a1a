"""Writes into weights what network they are of and what they were trained to see: their design.

Prediction, evaluation, export and fine-tuning read it from the file. Weights of this version have
it; give older ones the configuration files of their training, all of them, in order, as they were
then: options of the encoder that stood beside those of the network are found there. The tensors
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
    from petct_ext.files import read_json, require_file
    from petct_ext.scan.networks.stamping import configured_network, stamp_design

    for path in arguments.config:
        read_json(Path(require_file(path)))  # MONAI would not say which file is broken
    network = configured_network(arguments.config)
    weights = require_file(arguments.weights)
    print(stamp_design(network, weights, arguments.out or weights))


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("weights", type=Path, help="model.pt")
    parser.add_argument(
        "--config", type=Path, nargs="+", required=True, help="train.json, then what was on top"
    )
    parser.add_argument("--out", type=Path, help="file to write (default: the same)")
    run(command, parser)
