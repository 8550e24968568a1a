"""Digital patients: sides, sites and sizes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import settings

from petct_ext.errors import InputDataError, UnknownRegionError
from petct_ext.ontology.regions import RegionOntology
from petct_ext.synthetic.phantoms.anatomy import Body, build_body, organ_at, reference_anatomy
from petct_ext.synthetic.phantoms.scanner import scan_grids
from petct_ext.synthetic.phantoms.shapes import Outline
from petct_ext.synthetic.phantoms.sites import site_mm
from petct_ext.synthetic.phantoms.tissues import HU, UPTAKE_SIGMA, organ_suv
from tests.synthetic.phantom_patients import (
    PHYSIOLOGY,
    given_any_habitus,
    phantom_patient,
    with_second_exam,
)

REGIONS = tuple(RegionOntology.default())
ONE_SEX = {"prostate": "M", "uterus": "F", "ovary": "F"}


@cache
def body_of(sex: str = "M", height_m: float = 1.76, weight_kg: float = 75.0) -> Body:
    patient = phantom_patient(sex=sex, height_m=height_m, weight_kg=weight_kg)
    return build_body(patient, patient.exams[0], seed=0)


def sites(region: str, body: Body, *, num: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([site_mm(region, body, rng) for _ in range(num)])


def middle_x(body: Body) -> float:
    return body.frame.shift_mm[0]


def test_x_grows_towards_the_right_where_the_liver_is() -> None:
    body = body_of()
    assert np.mean(sites("liver", body)[:, 0]) > 20
    assert (sites("spleen", body)[:, 0] < -40).all()


def test_heart_points_to_the_left() -> None:
    body = body_of()
    (wall,) = (p.shape for p in body.of(["heart_wall"]))
    low, high = wall.bounds()
    assert (low[0] + high[0]) / 2 < -20


def test_y_grows_towards_the_front_and_z_towards_the_head() -> None:
    body = body_of()
    assert sites("sternum", body)[:, 1].min() > sites("thoracic_spine", body)[:, 1].max()
    assert sites("brain", body)[:, 2].min() > sites("bladder", body)[:, 2].max()


@pytest.mark.parametrize("sex", ["F", "M"])
@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_a_site_inside_the_scanned_body(region: str, sex: str) -> None:
    if ONE_SEX.get(region, sex) != sex:
        pytest.skip("the other sex")
    body = body_of(sex, 1.64 if sex == "F" else 1.78, 62.0 if sex == "F" else 84.0)
    points = sites(region, body, num=8)
    grid, _ = scan_grids(body, size="small")
    assert "" not in organ_at(points, body)
    assert (points[:, 2] > grid.origin_mm[2] + 20).all()
    assert (points[:, 2] < grid.axes()[2][-1]).all()


@pytest.mark.parametrize("region", [r for r in REGIONS if r.startswith(("left_", "right_"))])
def test_sides_are_kept(region: str) -> None:
    body = body_of()
    x = sites(region, body)[:, 0] - middle_x(body)
    assert (x < 0).all() if region.startswith("left_") else (x > 0).all()


@pytest.mark.parametrize(
    ("region", "organs"),
    [
        ("brain", {"brain", "white_matter", "basal_ganglia", "cerebellum"}),
        ("right_middle_lobe", {"lung"}),
        ("left_lower_lobe", {"lung"}),
        ("liver", {"liver"}),
        ("spleen", {"spleen"}),
        ("kidney", {"kidney"}),
        ("pancreas", {"pancreas"}),
        ("lumbar_spine", {"lumbar_spine"}),
        ("pelvic_skeleton", {"pelvic_bone", "sacrum"}),
        ("ribs", {"ribs"}),
        ("femur", {"femur", "femur_marrow"}),
        ("thyroid", {"thyroid"}),
        ("colon", {"colon"}),
    ],
)
def test_sites_of_an_organ_lie_in_the_organ(region: str, organs: set[str]) -> None:
    body = body_of("F", 1.62, 58.0)
    assert set(organ_at(sites(region, body), body)) <= organs


def test_lobes_are_stacked_as_in_a_chest() -> None:
    body = body_of()
    heights = {
        lobe: float(np.mean(sites(f"right_{lobe}_lobe", body)[:, 2]))
        for lobe in ("upper", "middle", "lower")
    }
    front = np.mean(sites("right_middle_lobe", body)[:, 1])
    assert heights["upper"] > max(heights["middle"], heights["lower"]) + 20
    assert front > np.mean(sites("right_lower_lobe", body)[:, 1])


@pytest.mark.parametrize(("region", "sex"), [("prostate", "F"), ("uterus", "M"), ("ovary", "M")])
def test_organ_of_the_other_sex_is_refused(region: str, sex: str) -> None:
    with pytest.raises(InputDataError, match="has none"):
        site_mm(region, body_of(sex), np.random.default_rng(0))


def test_unknown_region_is_refused() -> None:
    with pytest.raises(UnknownRegionError, match="Did you mean 'liver'"):
        site_mm("livr", body_of(), np.random.default_rng(0))


def test_every_organ_has_a_ct_number_and_an_uptake() -> None:
    anatomy = reference_anatomy()
    organs = {e["organ"] for e in [*anatomy["shapes"], *anatomy["brown_fat"]]}
    organs |= {p.organ for p in body_of().parts}
    assert organs <= set(HU)
    assert set(UPTAKE_SIGMA) <= set(HU)
    uptake = organ_suv(PHYSIOLOGY)
    assert set(uptake) == set(HU)
    assert min(uptake.values()) >= 0


def skin(body: Body) -> Outline:
    shape = body.parts[0].shape
    assert isinstance(shape, Outline)
    return shape


def test_the_tall_are_longer_and_the_heavy_wider() -> None:
    usual, tall = skin(body_of()), skin(body_of(height_m=1.95, weight_kg=92.0))
    heavy = skin(body_of(weight_kg=120.0))
    assert np.ptp(tall.heights) > np.ptp(usual.heights) + 50
    assert heavy.half_widths.max() > usual.half_widths.max() + 20
    assert np.ptp(heavy.heights) == pytest.approx(np.ptp(usual.heights))


@settings(max_examples=25, deadline=None)
@given_any_habitus
def test_weight_of_the_scanned_part_fits_the_weight_of_the_patient(
    sex: str, height_m: float, body_mass_index: float
) -> None:
    """Without lower legs and (some) arms, a body weighs 60-95 % of the whole, at about 1 kg/L."""
    weight_kg = body_mass_index * height_m**2
    patient = phantom_patient(sex=sex, height_m=height_m, weight_kg=weight_kg)
    body = build_body(patient, patient.exams[0], seed=1)
    trunk_kg = skin(body).volume_mm3() / 1e6
    assert 0.42 * weight_kg < trunk_kg < 0.85 * weight_kg


def test_size_of_organs_belongs_to_the_patient_and_filling_to_the_exam() -> None:
    patient = with_second_exam(phantom_patient())
    first, second = (build_body(patient, e, seed=0) for e in patient.exams)
    volumes = [
        {o: b.of([o])[0].shape.volume_mm3() for o in ("spleen", "bladder")} for b in (first, second)
    ]
    assert volumes[0]["spleen"] == pytest.approx(volumes[1]["spleen"], rel=1e-4)
    assert volumes[0]["bladder"] != pytest.approx(volumes[1]["bladder"], rel=1e-2)
