"""Attention inside boxes: shares of positions are exact, and an even map is at chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import Dataset

from petct_ext.errors import InputDataError
from petct_ext.scan.interpretation.localization import (
    box_shares,
    localize_exams,
    mass_inside,
    read_boxes,
)
from petct_ext.scan.interpretation.scan_model import ScanModel
from tests.package_regions import ONTOLOGY
from tests.scan.networks.region_networks import region_classifier

SIZE, STRIDES = (12, 10, 9), (4, 4, 2)
AFFINE = np.array([[5.0, 0, 0, -30], [0, 5, 0, -20], [0, 0, 7, -800], [0, 0, 0, 1]])
LOWEST = AFFINE[:3, 3] - np.diagonal(AFFINE)[:3] / 2
HIGHEST = LOWEST + np.diagonal(AFFINE)[:3] * SIZE
WHOLE = np.stack([LOWEST, HIGHEST])

corner = st.tuples(st.floats(-80, 80), st.floats(-80, 80), st.floats(-900, -650))
any_box = st.tuples(corner, corner).map(lambda pair: np.sort(np.array(pair), axis=0))
any_boxes = st.lists(any_box, min_size=1, max_size=4).map(np.stack)


def shares_of(boxes: Any) -> np.ndarray:
    return box_shares(boxes, AFFINE, SIZE, strides=STRIDES)


@given(boxes=any_boxes, seed=st.integers(0, 1000))
def test_even_map_has_as_much_inside_as_chance(boxes: np.ndarray, seed: int) -> None:
    shares = shares_of(boxes)
    assert mass_inside(np.full(shares.shape, 0.3), shares) == pytest.approx(shares.mean())
    weights = np.random.default_rng(seed).random(shares.shape)
    mass = mass_inside(weights, shares)
    assert -1e-12 <= mass <= shares.max() + 1e-12
    assert mass == pytest.approx(mass_inside(7 * weights, shares))


@given(boxes=any_boxes)
def test_shares_grow_with_the_boxes_and_stay_shares(boxes: np.ndarray) -> None:
    shares = shares_of(boxes)
    assert shares.shape == (3, 3, 5)
    assert shares.min() >= 0
    assert shares.max() <= 1
    wider = boxes + np.array([[-3.0], [3.0]])
    assert (shares_of(wider) >= shares - 1e-12).all()
    assert (shares_of(boxes[:1]) <= shares + 1e-12).all()
    assert (shares_of(np.concatenate([boxes, boxes])) == shares).all()


@given(box=any_box)
def test_shares_add_up_to_the_volume_of_the_box(box: np.ndarray) -> None:
    volume = np.prod(np.clip(np.minimum(box[1], HIGHEST) - np.maximum(box[0], LOWEST), 0, None))
    of_position = np.prod(np.diagonal(AFFINE)[:3] * STRIDES)
    assert shares_of(box).sum() * of_position == pytest.approx(volume, abs=1e-6)


def test_what_reaches_past_the_volume_is_outside() -> None:
    shares = shares_of(WHOLE)
    assert (shares[:, :2, :4] == 1).all()
    assert (shares[:, 2, :4] == 0.5).all()  # 10 voxels, 3 positions of 4
    assert (shares[:, :2, 4] == 0.5).all()


def test_box_of_one_position_takes_that_position_alone() -> None:
    spacing = np.diagonal(AFFINE)[:3]
    low = LOWEST + spacing * STRIDES * np.array([1, 0, 2])
    shares = shares_of(np.stack([low, low + spacing * STRIDES]))
    assert shares[1, 0, 2] == pytest.approx(1)
    assert shares.sum() == pytest.approx(1)


def test_map_without_mass_has_none_inside() -> None:
    assert np.isnan(mass_inside(np.zeros((3, 3, 5)), shares_of(WHOLE)))


@pytest.mark.parametrize("change", [np.diag([-1.0, 1, 1, 1]), np.eye(4)[[1, 0, 2, 3]]])
def test_volume_along_other_axes_is_refused(change: np.ndarray) -> None:
    with pytest.raises(InputDataError, match=r"is not along R, A and S; prepare the exams"):
        box_shares(WHOLE, AFFINE @ change, SIZE, strides=STRIDES)


REGIONS = ["full", "liver", "spine"]
IMAGE_SIZE = (32, 32, 9)
IMAGE_AFFINE = np.diag([12.0, 12.0, 11.0, 1.0])


def with_image(item: dict[str, Any]) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    return item | {"image": torch.rand(2, *IMAGE_SIZE, generator=generator)}


def model_on(folder: Path, **options: Any) -> ScanModel:
    path = str(folder / "pet.nii")
    nib.save(nib.Nifti1Image(np.ones(IMAGE_SIZE, np.float32), IMAGE_AFFINE), path)
    items = [{"exam_id": exam, "pet": path, "ct": path} for exam in ("E1", "E2")]
    network = region_classifier(2, 3, width=0.0625, last_stage="mixed_3b", **options)
    return ScanModel(network.eval(), REGIONS, Dataset(items, with_image), torch.device("cpu"))


def boxes_table(exam: str = "E1") -> pd.DataFrame:
    corners = {"x_low_mm": 0.0, "y_low_mm": 0.0, "z_low_mm": 0.0,
               "x_high_mm": 100.0, "y_high_mm": 60.0, "z_high_mm": 50.0}  # fmt: skip
    kinds = [("liver", "lesion"), ("liver", "region"), ("full", "region")]
    return pd.DataFrame(
        [{"study_instance_uid": "1.2", "exam_id": exam, "region": r, "kind": k, **corners}
         for r, k in kinds]
    )  # fmt: skip


def test_exams_with_lesions_are_measured_in_regions_that_hold_them(tmp_path: Path) -> None:
    measured = localize_exams(model_on(tmp_path, num_heads=2), boxes_table(), ONTOLOGY)
    assert set(measured["exam_id"]) == {"E1"}
    assert set(measured["region"]) == {"full", "liver"}  # a container holds the lesion as well
    assert set(measured["map"]) == {"attention", "evidence"}
    assert set(measured["box"]) == {"lesion", "region"}
    assert not measured.duplicated(["region", "map", "box"]).any()
    for column in ("mass", "chance", "best", "hit", "hit_chance"):
        assert measured[column].dropna().between(0, 1).all()
    assert (measured["chance"] <= measured["best"]).all()
    assert (measured["mass"].dropna() <= measured["best"][measured["mass"].notna()] + 1e-9).all()
    attention = measured[(measured["map"] == "attention") & (measured["box"] == "lesion")]
    assert (attention["mass"] != attention["chance"]).any()


def test_sum_over_positions_attends_at_chance(tmp_path: Path) -> None:
    measured = localize_exams(model_on(tmp_path, pooling="sum"), boxes_table(), ONTOLOGY)
    attention = measured[measured["map"] == "attention"]
    np.testing.assert_allclose(attention["mass"], attention["chance"])
    np.testing.assert_allclose(attention["hit"], attention["hit_chance"])


def test_exams_without_known_lesions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"none of the 2 exams of this section has a lesion"):
        localize_exams(model_on(tmp_path, num_heads=2), boxes_table("E9"), ONTOLOGY)


def write_tables(folder: Path, *, uid: str = "1.2", x_low: float = 0.0) -> tuple[Path, Path]:
    boxes = boxes_table().drop(columns="exam_id").assign(x_low_mm=x_low)
    (folder / "truth").mkdir()
    boxes.to_csv(folder / "truth" / "boxes.csv", index=False)
    names = {"exam_id": "E1", "patient_id": "P1", "study_instance_uid": uid, "raw_patient_id": "R"}
    pd.DataFrame([names]).to_csv(folder / "identifiers.csv", index=False)
    return folder, folder / "identifiers.csv"


def test_boxes_are_read_by_exam(tmp_path: Path) -> None:
    boxes = read_boxes(*write_tables(tmp_path))
    assert boxes["exam_id"].tolist() == ["E1"] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uid": "9.9"}, r"names no exam of .*boxes\.csv"),
        ({"x_low": 200.0}, r"box 1 has a low corner above the high one"),
    ],
)
def test_boxes_that_cannot_be_used_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        read_boxes(*write_tables(tmp_path, **change))


def test_cohort_without_boxes_is_refused_with_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"run scripts/make_synthetic_data\.py with its seed"):
        read_boxes(tmp_path, tmp_path / "identifiers.csv")
