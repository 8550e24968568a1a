"""Converts judged mentions between the labelling tool, annotations.csv, Label Studio and doccano.

Formats: answers (JSONL of the labelling tool), annotations (annotations.csv, which
scripts/prepare_reports.py reads), label-studio (JSON; the labeling interface is written beside it
as XML), doccano (JSONL of a sequence labeling project). The last two hold the text of the reports:
keep them as private. An annotations.csv has neither skipped mentions nor those that are none.

Examples:
    python scripts/convert_annotations.py --cohort data --from answers data/answers.jsonl \
        --to annotations data/annotations.csv
    python scripts/convert_annotations.py --cohort data --from doccano export.jsonl \
        --to annotations data/annotations.csv --merge
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.labeler.notebook.conversion import Format, convert_annotations
from petct_ext.ontology.option import add_ontology_option


def command(arguments: argparse.Namespace) -> None:
    source_format, source = arguments.source
    target_format, target = arguments.target
    written = convert_annotations(
        source,
        target,
        source_format=known_format(source_format),
        target_format=known_format(target_format),
        reports=arguments.cohort / "reports.csv",
        ontology=arguments.ontology,
        merge=arguments.merge,
    )
    print(f"{target}: {written} judged mentions")


def known_format(name: str) -> Format:
    try:
        return Format(name)
    except ValueError:
        known = ", ".join(format_.value for format_ in Format)
        raise InputDataError(f"{name!r} is no format; known are {known}.") from None


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--cohort", type=Path, required=True, help="folder with reports.csv")
    for flag, name, told in (("--from", "source", "to read"), ("--to", "target", "to write")):
        parser.add_argument(
            flag, dest=name, nargs=2, metavar=("FORMAT", "FILE"), required=True, help=f"what {told}"
        )
    parser.add_argument(
        "--merge", action="store_true", help="add to an existing file; what is read holds"
    )
    add_ontology_option(parser)
    run(command, parser)
