"""Predictions of another labeler are matched to the text, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.comparison import compare_labelers
from petct_ext.labeler.given_predictions import read_other_predictions
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import AnnotatedText

ONTOLOGY = RegionOntology.default()
TEXT = "FINDINGS: Intense uptake in the liver. No uptake in the spleen. The liver is enlarged."
TEXTS = [
    AnnotatedText("t1", TEXT, ((32, 37, "liver", 1), (56, 62, "spleen", 0), (68, 73, "liver", 0)))
]
HEAD = "exam_id,region,probability,quotation\n"


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_quotations_take_the_places_of_the_text_in_turn(tmp_path: Path) -> None:
    rows = "t1,liver,0.9,Liver\nt1,liver,0.2,liver\nt1,spleen,0.1,the  spleen\n"
    given = read_other_predictions(write(tmp_path / "p.csv", HEAD + rows), TEXTS, ONTOLOGY)
    assert [(r["start"], r["end"], r["probability"]) for r in given.found("t1")] == [
        (32, 37, 0.9),
        (68, 73, 0.2),
        (52, 62, 0.1),
    ]


def test_perfect_predictions_score_one_and_missing_ones_count_as_zero(tmp_path: Path) -> None:
    perfect = "exam_id,region,probability,start,end\nt1,liver,0.9,32,37\nt1,spleen,0.1,56,62\n"
    nothing = "exam_id,region,probability,start,end\nt1,spleen,0.1,56,62\n"
    labelers = {
        name: read_other_predictions(write(tmp_path / f"{name}.csv", rows), TEXTS, ONTOLOGY)
        for name, rows in (("perfect", perfect), ("nothing", nothing))
    }
    table = compare_labelers(labelers, TEXTS, ONTOLOGY, draws=0).set_index(["labeler", "what"])
    assert table.loc[("perfect", "mentions"), "f1"] == 1.0
    assert table.loc[("perfect", "liver"), "num_abnormal"] == 1
    assert table.loc[("perfect", "micro"), "sensitivity"] == 1.0
    assert table.loc[("nothing", "mentions"), "sensitivity"] == 0.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("exam_id,region\nt1,liver\n", "lacks probability, start and end, or quotation"),
        (HEAD + "t9,liver,0.5,liver\n", "line 2: no annotated text has the id 't9'"),
        (HEAD + "t1,livr,0.5,liver\n", "line 2: 'livr' is not a region.*liver"),
        (HEAD + "t1,liver,1.5,liver\n", "line 2: probability 1.5 lies outside 0 to 1"),
        (HEAD + "t1,liver,much,liver\n", "line 2: could not convert string to float"),
        (HEAD + "t1,liver,0.5,\n", "line 2: neither start and end nor a quotation"),
        (HEAD + "t1,kidney,0.5,kidney\n", "line 2: the quotation of 6 characters does not occur"),
        (
            "exam_id,region,probability,start,end\nt1,liver,0.5,80,999\n",
            "line 2: offsets 80 to 999",
        ),
        ("", "cannot be read as CSV"),
    ],
)
def test_wrong_rows_are_refused_by_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=message):
        read_other_predictions(write(tmp_path / "p.csv", content), TEXTS, ONTOLOGY)
