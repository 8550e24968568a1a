"""Draws the regions and how they nest, as SVG and PNG.

Example:
    python scripts/draw_ontology.py --out bundles/report_labeler/docs/regions
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.figures.ontology import draw_ontology
from petct_ext.ontology.option import add_ontology_option


def command(arguments: argparse.Namespace) -> None:
    for written in draw_ontology(arguments.ontology, arguments.out):
        print(written)


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    add_ontology_option(parser)
    run(command, parser)
