"""Equal objects of two runs are described alike, and a change of any setting shows."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandScaleIntensityd, RandSpatialCropd, Resized
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from petct_ext.training.resume import describe, fingerprint
from tests.forks import run_forked


def transforms(prob: float = 0.5, size: int = 8) -> Compose:
    steps = [
        RandSpatialCropd("image", roi_size=[size, size, -1], random_size=False),
        Resized("image", spatial_size=[9, 9, -1], mode="trilinear"),
        RandScaleIntensityd("image", factors=0.1, prob=prob),
    ]
    return Compose(steps)


def scheduler(rate: float = 0.1, *, pct_start: float = 0.3) -> OneCycleLR:
    optimizer = torch.optim.Adam(nn.Linear(2, 1).parameters(), lr=rate)
    return OneCycleLR(optimizer, max_lr=rate, total_steps=10, pct_start=pct_start)


def test_equal_objects_are_described_alike() -> None:
    assert describe(transforms()) == describe(transforms())
    assert describe(scheduler()) == describe(scheduler())
    assert describe(scheduler().optimizer) == describe(scheduler().optimizer)


def test_no_description_holds_an_address() -> None:
    """Addresses differ from run to run."""
    for item in (transforms(), scheduler(), nn.Dropout(), partial(int, base=2)):
        assert " at 0x" not in describe(item)


@pytest.mark.slow
def test_another_process_finds_the_same() -> None:
    code = (
        "from tests.training.test_fingerprint import *;"
        "print(*fingerprint({'a': transforms(), 'b': scheduler(), 'c': {'x', 'y'}}).values())"
    )
    found = run_forked([sys.executable, "-c", code])
    assert found.returncode == 0, found.stderr
    here = fingerprint({"a": transforms(), "b": scheduler(), "c": {"x", "y"}})
    assert found.stdout.split() == list(here.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (transforms(), transforms(prob=0.6)),
        (transforms(), transforms(size=7)),
        (scheduler(), scheduler(pct_start=0.4)),
        (scheduler().optimizer, scheduler(0.2).optimizer),
        (nn.Dropout(0.1), nn.Dropout(0.2)),
        (np.arange(3), np.arange(4)),
        (torch.zeros(2), torch.ones(2)),
        (partial(int, base=2), partial(int, base=3)),
        (1, "1"),
        (1, 1.0),
        (int, float),
    ],
)
def test_a_change_shows(one: object, other: object) -> None:
    assert describe(one) != describe(other)


def test_object_that_holds_itself_is_described() -> None:
    module = nn.Dropout()
    module.__dict__["me"] = module
    assert "itself" in describe(module)


def test_text_of_a_file_counts_and_not_its_name(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    same, equal, other = (fingerprint({"file": str(tmp_path / name)}) for name in "abc")
    assert same == equal != other


def test_parts_of_a_mapping_are_named() -> None:
    assert fingerprint({"network": {"width": 1.0, "heads": 8}}).keys() == {
        "network.width",
        "network.heads",
    }
