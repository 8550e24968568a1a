"""Makes the page of a run: WORK/index.html with its tables and pictures.

The page is one file that opens from disk and asks for nothing from outside. It shows whichever
results exist and says what is missing and why. It holds pseudonymous ids only.

Example:
  python scripts/make_page.py --work runs/demo
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pages.run import write_page


def command(arguments: argparse.Namespace) -> None:
    title = {"title": arguments.title} if arguments.title else {}
    print(write_page(arguments.work, ontology=arguments.ontology, **title))


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the run")
    parser.add_argument("--title", help="heading of the page")
    add_ontology_option(parser)
    run(command, parser)
