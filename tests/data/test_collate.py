"""Exams of different length share a batch."""

from __future__ import annotations

from typing import Any

import torch
from monai.data import MetaTensor

from petct_ext.data.collate import pad_slices
from petct_ext.networks import RegionClassifier


def exam(slices: int) -> dict[str, Any]:
    image = torch.rand(2, 16, 16, slices)
    return {"image": image, "label": torch.zeros(3), "exam_id": f"E{slices}"}


def test_shorter_exams_are_padded_at_the_upper_end() -> None:
    short, long = exam(5), exam(9)
    batch = pad_slices([short, long])
    assert batch["image"].shape == (2, 2, 16, 16, 9)
    assert torch.equal(batch["image"][0, ..., :5], short["image"])
    assert not batch["image"][0, ..., 5:].any()
    assert batch["num_slices"].tolist() == [5, 9]
    assert batch["exam_id"] == ["E5", "E9"]


def test_padding_gets_no_attention() -> None:
    network = RegionClassifier(2, 3, width=0.0625, num_heads=1).eval()
    batch = pad_slices([exam(8), exam(40)])
    weights = network.attention(batch["image"], batch["num_slices"])
    assert not weights[0, ..., 1:].any()
    assert weights[1, ..., 1:].any()


def test_batch_is_a_plain_tensor_without_meta_data() -> None:
    image = MetaTensor(torch.ones(2, 4, 4, 3))
    batch = pad_slices([{"image": image, "label": torch.ones(1), "exam_id": "E1"}])
    assert type(batch["image"]) is torch.Tensor
