"""Writes a trained network of a bundle as one .pt2 file that runs with torch alone.

The network is the one of the weights that the bundle's inference config names, or of --weights;
their design (windows, grid, names of the outputs) goes into the file. Beside it a parity report
(.parity.json) says how far its outputs are from the network's on random volumes of several depths;
the script ends with exit code 2 if they differ by more than --tolerance.

Example:
    python scripts/export_model.py bundles/scan_model/configs/inference.json scan_model.pt2
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run


def command(arguments: argparse.Namespace) -> None:
    from monai.bundle import ConfigParser

    from petct_ext.errors import InputDataError
    from petct_ext.files import require_file
    from petct_ext.scan.networks.design import read_design
    from petct_ext.scan.networks.exported import (
        can_fold,
        compare_export,
        export_network,
        fold_batch_norms,
        save_export,
    )
    from petct_ext.scan.networks.pretrained import check_weights

    config = ConfigParser()
    config.read_config([require_file(path) for path in arguments.config])
    config["bundle_root"] = str(arguments.config[0].resolve().parents[1])
    weights = require_file(arguments.weights or config.get_parsed_content("ckpt_path"))
    config["ckpt_path"] = weights
    design = read_design(weights)
    network = config.get_parsed_content("network_def")
    network.load_state_dict(check_weights(network, weights))
    network.eval()
    in_channels, in_plane = network.in_channels, design["grid"]["in_plane"]
    require_side(weights, in_plane, arguments.in_plane)
    fold = can_fold(network) and not arguments.keep_batch_norms
    exported = fold_batch_norms(network) if fold else network
    size = {"in_channels": in_channels, "in_plane": in_plane}
    program = export_network(exported, **size, batch_size=arguments.batch_size)
    shape = (arguments.batch_size, in_channels, in_plane, in_plane)
    report = compare_export(network, program, shape=shape, depths=arguments.depths)
    difference = report["max_abs_difference"]["logits"]
    if difference > arguments.tolerance:
        raise InputDataError(
            f"{weights}: the exported network differs from the network by {difference:.1e} in a "
            f"logit, more than {arguments.tolerance:.1e}; nothing was written."
        )
    written = save_export(program, arguments.out, report, design=design)
    print(f"{written} (logits differ by {difference:.1e})")


def require_side(weights: str, trained: int, given: int | None) -> None:
    from petct_ext.errors import InputDataError

    if given not in (None, trained):
        raise InputDataError(
            f"{weights} was trained on {trained} voxels in-plane (not {given}); leave --in-plane "
            "away."
        )


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument(
        "config", type=Path, nargs="+", help="inference config of a bundle, later files override"
    )
    parser.add_argument("out", type=Path, help="file to write, .pt2")
    parser.add_argument("--weights", type=Path, help="instead of ckpt_path of the config")
    parser.add_argument("--in-plane", type=int, help="voxels of a slice's sides (as in training)")
    parser.add_argument("--batch-size", type=int, default=1, help="exams at a time")
    parser.add_argument("--depths", type=int, nargs="+", default=[9, 24, 35, 64], help="to compare")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of a logit")
    parser.add_argument(
        "--keep-batch-norms", action="store_true", help="do not fold them into the convolutions"
    )
    run(command, parser)
