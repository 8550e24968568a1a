"""Boxes of the truth hold what they are named after, on the side and at the height it has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.ontology.regions import RegionOntology
from petct_ext.synthetic.diseases import sample_patient
from petct_ext.synthetic.patients import Lesion
from petct_ext.synthetic.phantoms.anatomy import Body, build_body
from petct_ext.synthetic.phantoms.images import VoxelGrid, draw_lesions, draw_pet, place_lesions
from petct_ext.synthetic.phantoms.sites import site_mm
from petct_ext.synthetic.phantoms.truth import (
    BOX_COLUMNS,
    LESION_COLUMNS,
    box_rows,
    lesion_box_mm,
    lesion_rows,
    region_box_mm,
)
from tests.package_regions import ONTOLOGY
from tests.synthetic.phantom_patients import phantom_patient

SEED = 5
GRID = VoxelGrid((60, 50, 110), (8.0, 8.0, 9.0), (-240.0, -200.0, -870.0))


@pytest.fixture(scope="module")
def body() -> Body:
    patient = phantom_patient()
    return build_body(patient, patient.exams[0], seed=SEED)


def holds(outer: np.ndarray, inner: np.ndarray, *, slack_mm: float = 0.01) -> bool:
    """Whether every point (N, 3) of ``inner`` lies in the box (2, 3)."""
    points = np.atleast_2d(inner)
    return bool(((points >= outer[0] - slack_mm) & (points <= outer[1] + slack_mm)).all())


def test_pet_is_hotter_inside_the_box_of_a_lesion_than_around_it() -> None:
    patient = phantom_patient(
        Lesion("liver", 30.0, 12.0), Lesion("left_axillary_lymph_node", 22.0, 9.0)
    )
    exam = patient.exams[0]
    body = build_body(patient, exam, seed=SEED)
    lesions = place_lesions(patient, exam, body, seed=SEED, ontology=ONTOLOGY)
    rng = np.random.default_rng(0)
    pet = draw_pet(body, exam.physiology, lesions, grid=GRID, rng=rng)
    points = np.stack(np.meshgrid(*GRID.axes(), indexing="ij"), axis=-1)
    for placed in lesions:
        box = lesion_box_mm(placed)
        wide = box + np.array([[-25.0], [25.0]])
        inside = ((points >= box[0]) & (points <= box[1])).all(axis=-1)
        around = ((points >= wide[0]) & (points <= wide[1])).all(axis=-1) & ~inside
        assert pet[inside].mean() > 2 * pet[around].mean()


@settings(max_examples=6, deadline=None)
@given(number=st.integers(0, 300))
def test_boxes_hold_every_voxel_of_their_lesions(number: int) -> None:
    patient = sample_patient(number, seed=SEED)
    exam = patient.exams[0]
    body = build_body(patient, exam, seed=SEED)
    lesions = place_lesions(patient, exam, body, seed=SEED, ontology=ONTOLOGY)
    drawn = draw_lesions(lesions, grid=GRID)
    half = np.array(GRID.spacing_mm) / 2
    for i, placed in enumerate(lesions, start=1):
        voxels = np.argwhere(drawn == i) * GRID.spacing_mm + np.array(GRID.origin_mm)
        box = lesion_box_mm(placed) + np.stack([-half, half])
        assert holds(box, voxels.reshape(-1, 3))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), region=st.sampled_from(sorted(RegionOntology.default())))
@example(seed=17, region="right_upper_lobe")  # a corner between fissures
def test_box_of_a_region_holds_the_centers_of_its_lesions(
    body: Body, seed: int, region: str
) -> None:
    if region in ("uterus", "ovary"):
        return
    box = region_box_mm(region, body, ontology=ONTOLOGY)
    assert holds(box, site_mm(region, body, np.random.default_rng(seed)))


def test_box_of_a_region_holds_those_of_its_parts(body: Body) -> None:
    ontology = RegionOntology.default()
    for part in ("liver", "left_upper_lobe", "right_hilar_lymph_node", "lumbar_spine"):
        inner = region_box_mm(part, body, ontology=ONTOLOGY)
        for container in ontology.containers(part):
            assert holds(region_box_mm(container, body, ontology=ONTOLOGY), inner), container


def test_boxes_lie_where_anatomy_has_them(body: Body) -> None:
    left, right = (
        region_box_mm(f"{side}_lungs", body, ontology=ONTOLOGY) for side in ("left", "right")
    )
    assert left[1, 0] < 0 < right[0, 0]
    upper, lower = (
        region_box_mm(f"left_{name}_lobe", body, ontology=ONTOLOGY) for name in ("upper", "lower")
    )
    assert upper[:, 2].mean() > lower[:, 2].mean()
    heights = [
        region_box_mm(name, body, ontology=ONTOLOGY)[:, 2].mean()
        for name in ("brain", "neck", "thoracic_spine", "liver", "bladder")
    ]
    assert heights == sorted(heights, reverse=True)
    kidneys = region_box_mm("kidney", body, ontology=ONTOLOGY)
    assert kidneys[0, 0] < 0 < kidneys[1, 0]


def test_lesion_that_reaches_out_of_its_organ_widens_the_box() -> None:
    patient = phantom_patient(Lesion("adrenal_gland", 44.0, 8.0))
    exam = patient.exams[0]
    body = build_body(patient, exam, seed=SEED)
    (placed,) = place_lesions(patient, exam, body, seed=SEED, ontology=ONTOLOGY)
    assert not holds(region_box_mm("adrenal_gland", body, ontology=ONTOLOGY), lesion_box_mm(placed))
    assert holds(
        region_box_mm("adrenal_gland", body, lesions=[placed], ontology=ONTOLOGY),
        lesion_box_mm(placed),
    )


def test_organ_of_the_other_sex_is_refused(body: Body) -> None:
    with pytest.raises(InputDataError, match=r"'uterus': a body of sex 'M' has none"):
        region_box_mm("uterus", body, ontology=ONTOLOGY)


def test_rows_tell_lesions_and_every_region_around_them() -> None:
    patient = phantom_patient(Lesion("liver", 20.0, 9.0), Lesion("liver", 14.0, 7.0))
    exam = patient.exams[0]
    body = build_body(patient, exam, seed=SEED)
    lesions = place_lesions(patient, exam, body, seed=SEED, ontology=ONTOLOGY)
    rows = list(box_rows("1.2.3", body, lesions, ontology=ONTOLOGY))
    assert all(tuple(row) == BOX_COLUMNS for row in rows)
    assert [row["lesion"] for row in rows if row["kind"] == "lesion"] == [1, 2]
    regions = {row["region"] for row in rows if row["kind"] == "region"}
    assert regions == {"liver"} | RegionOntology.default().containers("liver")
    told = list(lesion_rows("1.2.3", lesions))
    assert all(tuple(row) == LESION_COLUMNS for row in told)
    for row, box in zip(told, rows, strict=False):
        assert box["x_low_mm"] < row["x_mm"] < box["x_high_mm"]
    assert list(box_rows("1.2.3", body, [], ontology=ONTOLOGY)) == []
