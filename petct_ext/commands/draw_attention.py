"""Draws a few exams with the places that speak for each region being abnormal.

Chooses the exams with the most certain abnormal regions (or those named by --exams), writes one
PNG each, maps as NIfTI on the grid of the volume (attention, and evidence: attention times what the
head found there, in units of the logit), and overlays.csv. Neither is a segmentation.

Example:
    python scripts/draw_attention.py --config bundles/scan_model/configs/inference.json \
        --datalist runs/mine/datalist.json --checkpoint runs/mine/scan_model/model.pt \
        --predictions runs/mine/predictions.csv --out runs/mine/overlays
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.figures.exam_pictures import draw_exams
from petct_ext.ontology.option import add_ontology_option
from petct_ext.scan.interpretation.scan_model import load_scan_model


def command(arguments: argparse.Namespace) -> None:
    model = load_scan_model(
        arguments.config,
        datalist=arguments.datalist,
        checkpoint=arguments.checkpoint,
        section=arguments.section,
    )
    table = draw_exams(
        model,
        arguments.predictions,
        arguments.out,
        ontology=arguments.ontology,
        num_exams=arguments.num_exams,
        num_regions=arguments.num_regions,
        exams=arguments.exams,
    )
    print(f"{table.exam_id.nunique()} exams drawn -> {arguments.out}")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        nargs="+",
        required=True,
        help="inference.json, then overriding files",
    )
    parser.add_argument("--datalist", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="models/model.pt")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.csv")
    parser.add_argument("--section", default="test", help="section of the datalist")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--num-exams", type=int, default=4)
    parser.add_argument("--num-regions", type=int, default=3)
    parser.add_argument("--exams", nargs="*", default=[], help="ids of the exams to draw")
    add_ontology_option(parser)
    run(command, parser)
