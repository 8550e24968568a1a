"""The ontology that ships with the package."""

from __future__ import annotations

import re

from petct_ext.ontology import RegionOntology

MAIN = [
    "full", "head_neck", "head", "neck", "chest", "abdomen", "pelvis", "skeleton", "mouth",
    "cervical_lymph_node", "supraclavicular_lymph_node", "lungs", "left_lungs", "right_lungs",
    "thoracic_lymph_node", "paratracheal_lymph_node", "carinal_lymph_node", "hilar_lymph_node",
    "axillary_lymph_node", "liver", "abdominal_lymph_node", "retroperitoneal_lymph_node",
    "iliac_lymph_node", "inguinal_lymph_node", "spine", "pelvic_skeleton",
]  # fmt: skip


def test_has_94_regions_with_one_root() -> None:
    ontology = RegionOntology.default()
    assert len(ontology) == 94
    assert [name for name in ontology if not ontology[name].within] == ["full"]


def test_the_26_outputs_of_the_scan_model_keep_their_names_and_order() -> None:
    assert list(RegionOntology.default().main_regions()) == MAIN


def test_rare_regions_are_there() -> None:
    assert {"celiac_lymph_node", "kidney", "adrenal_gland", "pancreas"} <= set(
        RegionOntology.default()
    )


def test_regions_have_patterns_or_are_sides_of_a_region_that_has() -> None:
    ontology = RegionOntology.default()
    for name in ontology:
        if not ontology[name].patterns:
            side, _, rest = name.partition("_")
            assert side in ("left", "right")
            assert rest in ontology[name].within
            assert ontology[rest].patterns


def test_no_pattern_can_match_nothing() -> None:
    ontology = RegionOntology.default()
    for name in ontology:
        for pattern in ontology.patterns(name):
            assert not re.fullmatch(pattern, ""), name
            assert pattern.search(" ") is None, name
