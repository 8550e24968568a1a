"""The picture holds every region."""

from __future__ import annotations

from pathlib import Path

from petct_ext.figures.ontology import draw_ontology
from petct_ext.ontology import RegionOntology


def test_picture_is_written_as_svg_and_png_and_the_same_again(tmp_path: Path) -> None:
    svg, png = draw_ontology(RegionOntology.default(), tmp_path / "a")
    again, _ = draw_ontology(RegionOntology.default(), tmp_path / "b")
    assert png.stat().st_size > 10_000
    assert svg.read_text() == again.read_text()
