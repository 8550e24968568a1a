"""Volumes are transformed on the device, exam by exam, and are free afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, get_track_meta
from monai.data.utils import set_rnd
from monai.transforms import Compose, ConcatItemsd, Lambdad, RandSpatialCropd, Resized

from petct_ext.errors import InputDataError
from petct_ext.scan.data.batches import PrepareExamBatch, gather_exams
from petct_ext.scan.transforms.volumes import ToPhysicalUnitsd

UNITS = [ToPhysicalUnitsd(("pet", "ct")), ConcatItemsd(("pet", "ct"), name="image")]


def exam(name: str, slices: int) -> dict[str, Any]:
    shape = (1, 6, 6, slices)
    return {
        "exam_id": name,
        "pet": torch.arange(36 * slices, dtype=torch.int16).reshape(shape),
        "pet_scale": (0.5, 0.0),
        "ct": torch.full(shape, 40, dtype=torch.int16),
        "ct_scale": (1.0, -10.0),
        "label": np.array([1.0, np.nan], dtype=np.float32),
    }


def test_batch_is_in_physical_units_and_padded() -> None:
    batch = gather_exams([exam("E1", 3), exam("E2", 5)])
    image, label, args, options = PrepareExamBatch(Compose(UNITS), num_channels=2)(batch, "cpu")
    assert image.shape == (2, 2, 6, 6, 5)
    assert type(image) is torch.Tensor
    assert image[0, 0, 0, 0, :3].tolist() == [0.0, 0.5, 1.0]
    assert image[1, 1].unique().tolist() == [30.0]
    assert options["num_slices"].tolist() == [3, 5]
    assert (args, label.shape) == ((), (2, 2))


def test_volumes_leave_the_batch() -> None:
    batch = gather_exams([exam("E1", 3)])
    PrepareExamBatch(Compose(UNITS))(batch, "cpu")
    assert sorted(batch) == ["exam_id", "label", "split"]


def test_random_numbers_are_seeded_through_it() -> None:
    crop = RandSpatialCropd("image", roi_size=(3, 3, -1), random_size=False)
    prepare = PrepareExamBatch(Compose([*UNITS, crop]))

    def draw(seed: int) -> torch.Tensor:
        set_rnd(prepare, seed)
        return prepare(gather_exams([exam("E1", 3), exam("E2", 3)]), "cpu")[0]

    assert torch.equal(draw(1), draw(1))
    assert not all(torch.equal(draw(1), draw(seed)) for seed in range(2, 8))


def test_result_is_the_same_without_histories_and_the_switch_is_put_back() -> None:
    larger = Resized("image", (9, 9, -1), mode="trilinear")
    crop = RandSpatialCropd("image", roi_size=(3, 3, -1), random_size=False)
    images = []
    for keep_meta in (True, False):
        seen: list[type] = []
        look = Lambdad("image", lambda x, seen=seen: (seen.append(type(x)), x)[1], track_meta=False)
        steps = Compose([*UNITS, crop, larger, look])
        prepare = PrepareExamBatch(steps, keep_meta=keep_meta)
        set_rnd(prepare, 1)
        images.append(prepare(gather_exams([exam("E1", 3), exam("E2", 3)]), "cpu")[0])
        assert seen == [MetaTensor if keep_meta else torch.Tensor] * 2
        assert get_track_meta()
    assert torch.equal(*images)


def test_other_number_of_channels_is_told_with_the_exam() -> None:
    with pytest.raises(
        InputDataError, match="exam E1: its image has 2 channels, but the network t"
    ):
        PrepareExamBatch(Compose(UNITS), num_channels=3)(gather_exams([exam("E1", 3)]), "cpu")
