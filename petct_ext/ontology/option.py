"""The option ``--ontology`` of the commands."""

from __future__ import annotations

import argparse

from petct_ext.errors import InputDataError
from petct_ext.ontology.regions import REGIONS_FILE, RegionOntology

__all__ = ["add_ontology_option", "ontology_arguments"]


def add_ontology_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--ontology FILE``; ``arguments.ontology`` is what the file holds.

    The file is read while the command line is: one that is missing or malformed ends the command
    in one line, before anything slow. Without the option it is the package's.
    """
    parser.add_argument(
        "--ontology",
        type=_read,
        default=str(REGIONS_FILE),
        metavar="FILE",
        help="regions.json with regions of your own; the package's by default",
    )


def ontology_arguments(ontology: RegionOntology) -> tuple[str, ...]:
    """Returns the option that hands an ontology that was read from a file to another command."""
    return ("--ontology", str(ontology.path)) if ontology.path is not None else ()


def _read(path: str) -> RegionOntology:
    try:
        return RegionOntology.from_json(path)
    except InputDataError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
