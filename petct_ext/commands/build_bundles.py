"""Writes the files that the bundles share, from petct_ext/bundle/sources into bundles/*.

Change the source, never those files; petct_ext/bundle/assembly.py says how they follow from it.
With --check nothing is written: files that do not follow from the source are named, with exit
code 2.

Example:
    python scripts/build_bundles.py
    python scripts/build_bundles.py --check
"""

import argparse
from typing import NoReturn

from petct_ext.bundle.assembly import build_bundles
from petct_ext.bundle.root import REPOSITORY
from petct_ext.cli import new_parser, run


def command(arguments: argparse.Namespace) -> None:
    for path in build_bundles(REPOSITORY, check=arguments.check):
        print(path)


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name what differs")
    run(command, parser)
