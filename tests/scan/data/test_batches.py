"""Exams of different length share a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from petct_ext.errors import InputDataError
from petct_ext.scan.data.batches import gather_exams, stack_slices
from tests.scan.networks.region_networks import region_classifier


def image(slices: int) -> torch.Tensor:
    return torch.rand(2, 16, 16, slices)


def test_batch_keeps_volumes_as_they_are() -> None:
    exams: list[dict[str, Any]] = [
        {
            "exam_id": f"E{n}",
            "pet": torch.ones(1, 4, 4, n, dtype=torch.int16),
            "pet_scale": (0.5, 0.0),
            "label": np.array([0.0, np.nan], dtype=np.float32),
        }
        for n in (5, 9)
    ]
    batch = gather_exams(exams)
    assert [v["pet"] is e["pet"] for v, e in zip(batch["volumes"], exams, strict=True)] == [
        True
    ] * 2
    assert batch["volumes"][1]["pet_scale"] == (0.5, 0.0)
    assert batch["label"].shape == (2, 2)
    assert (batch["exam_id"], batch["split"]) == (["E5", "E9"], ["", ""])


def test_shorter_exams_are_padded_at_the_upper_end() -> None:
    short, long = image(5), image(9)
    stacked, num_slices = stack_slices([short, long], ["E5", "E9"])
    assert stacked.shape == (2, 2, 16, 16, 9)
    assert torch.equal(stacked[0, ..., :5], short)
    assert not stacked[0, ..., 5:].any()
    assert num_slices.tolist() == [5, 9]


def test_padding_gets_no_attention() -> None:
    network = region_classifier(2, 3, width=0.0625, num_heads=1).eval()
    weights = network.attention(*stack_slices([image(8), image(40)], ["E1", "E2"]))
    assert not weights[0, ..., 1:].any()
    assert weights[1, ..., 1:].any()


def test_batch_is_a_plain_tensor_without_meta_data() -> None:
    stacked, _ = stack_slices([MetaTensor(torch.ones(2, 4, 4, 3))], ["E1"])
    assert type(stacked) is torch.Tensor


def test_other_size_in_plane_is_told() -> None:
    with pytest.raises(InputDataError, match=r"exam E2: its image has shape \(2, 8, 16, 4\)"):
        stack_slices([image(4), torch.rand(2, 8, 16, 4)], ["E1", "E2"])
