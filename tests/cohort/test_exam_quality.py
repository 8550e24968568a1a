"""What is measured on an exam before training, on a body made of boxes."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from petct_ext.cohort.exam_quality import ExamVolumes, find_flags, measure, read_volumes
from petct_ext.errors import InputDataError
from petct_ext.figures.exam_quality import draw_thumbnails

SPACING = (4.0, 4.0, 4.0)
GRID = {"shape": [80, 80, 160], "affine": np.diag([4.0, 4.0, 4.0, 1.0]).tolist()}


def body(*, liver_suv: float = 2.0) -> ExamVolumes:
    """A trunk with lungs, spine and, on the right below the lung, a liver; X to the right."""
    ct = np.full((80, 80, 160), -1000.0, dtype=np.float32)
    pet = np.zeros_like(ct)
    ct[15:65, 20:60], pet[15:65, 20:60] = -80.0, 0.5  # fat
    ct[36:44, 22:30] = 400.0  # spine, at the back
    for x in (slice(18, 34), slice(46, 62)):
        ct[x, 30:52, 90:130] = -800.0
    ct[42:62, 28:54, 70:90], pet[42:62, 28:54, 70:90] = 60.0, liver_suv
    return ExamVolumes(pet, ct, SPACING)


def record(**changes: Any) -> dict[str, Any]:
    facts = {"pet_units": "SUVbw", "num_slices": 160, "spacing_mm": list(SPACING)}
    grids = {"pet": GRID, "ct": GRID}
    return {**facts, "largest_value": 9.0, "original_grids": grids, **changes}


def test_liver_of_a_body_is_found_on_the_right_below_the_lung() -> None:
    row = measure(body(), record())
    assert row["liver_suv"] == pytest.approx(2.0)
    assert row["bone_behind_mm"] > 10
    assert row["overlap"] == 1.0
    assert row["activity_in_body"] == pytest.approx(1.0, abs=1e-3)
    assert find_flags(row) == []


def test_liver_of_a_mirrored_body_is_found_on_the_other_side() -> None:
    whole = body()
    mirrored = replace(whole, pet=whole.pet[::-1], ct=whole.ct[::-1])
    assert measure(mirrored, record())["liver_suv"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("hot", r"liver-like SUV 20\.00 is outside 1 to 4"),
        ("back to front", r"bone lies \d+ mm in front of the middle"),
        ("shifted", r"\d+% of the PET's activity lies within the body"),
        ("short CT", "the CT covers 50% of the PET's length"),
        ("counts", "PET is in CNTS, not SUV"),
        ("thin", "40 slices; whole-body exams have 70 to 310"),
    ],
)
def test_what_went_wrong_is_flagged(change: str, message: str) -> None:
    exam, facts = body(liver_suv=20.0 if change == "hot" else 2.0), record()
    if change == "back to front":
        exam = replace(exam, ct=exam.ct[:, ::-1])
    if change == "shifted":
        exam = replace(exam, pet=np.roll(exam.pet, 40, axis=0))
    if change == "short CT":
        short = {"shape": [80, 80, 80], "affine": GRID["affine"]}
        facts = record(original_grids={"pet": GRID, "ct": short})
    if change == "counts":
        facts = record(pet_units="CNTS")
    if change == "thin":
        facts = record(num_slices=40)
    assert re.search(message, "; ".join(find_flags(measure(exam, facts))))


def test_picture_shows_patient_right_at_the_left_head_up_and_front_at_the_left() -> None:
    exam = body()
    exam.pet[:] = 0.0
    exam.pet[60:64, 36:44, 150:154] = 7.0  # right shoulder
    exam.ct[36:44, 56:60] = 400.0  # breastbone, brighter in front than at the back
    exam.ct[36:44, 22:30] = -80.0
    sheet = np.asarray(Image.open(io.BytesIO(draw_thumbnails(exam, is_suv=True))).convert("L"))
    width = (sheet.shape[1] - 18) // 4
    projection = sheet[16:, width + 6 : 2 * width + 6].astype(float)
    top, left = np.unravel_index(int(projection[5:, 12:-12].argmin()), projection[5:, 12:-12].shape)
    assert left < width / 2 - 12
    assert top < projection.shape[0] / 4
    sagittal = sheet[40:-20, 3 * width + 18 :].astype(float).mean(axis=0)
    assert sagittal.argmax() < width / 2


def test_volumes_of_different_shape_are_refused(tmp_path: Path) -> None:
    for name, size in (("pet.nii", 3), ("ct.nii", 4)):
        nib.save(nib.Nifti1Image(np.zeros((size, 3, 3), np.int16), np.eye(4)), tmp_path / name)
    with pytest.raises(InputDataError, match=r"shapes \(3, 3, 3\) and \(4, 3, 3\)"):
        read_volumes(tmp_path)
