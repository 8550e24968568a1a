"""Batches of similar length waste less, and processes share them without overlap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import RandomSampler, SequentialSampler

from petct_ext.errors import InputDataError
from petct_ext.scan.data.samplers import LengthBatchSampler, exam_lengths, padding_share

LENGTHS = np.random.default_rng(0).integers(70, 311, 300).tolist()


def sampler(seed: int = 0, *, num_samples: int = 2000, **options: int | bool) -> LengthBatchSampler:
    generator = torch.Generator().manual_seed(seed)
    draws = RandomSampler(LENGTHS, replacement=True, num_samples=num_samples, generator=generator)
    batches = LengthBatchSampler(draws, LENGTHS, **({"batch_size": 2} | options))  # type: ignore[arg-type]
    batches.generator.manual_seed(seed)
    return batches


def test_similar_lengths_waste_a_tenth_of_what_random_batches_do() -> None:
    similar, random = (padding_share(sampler(bucketing=b), LENGTHS) for b in (True, False))
    assert random > 0.15
    assert similar < random / 10


def test_copies_of_an_exam_seldom_meet_in_a_batch() -> None:
    """Sorting by length alone would put the copies of an exam side by side."""
    lengths = np.random.default_rng(1).integers(70, 80, 80).tolist()
    generator = torch.Generator().manual_seed(0)
    draws = RandomSampler(lengths, replacement=True, num_samples=216, generator=generator)
    batches = list(LengthBatchSampler(draws, lengths, batch_size=4))
    repeated = sum(len(set(batch)) < len(batch) for batch in batches)
    assert repeated / len(batches) < 0.1  # 0.07 with batches at random


def test_batches_hold_what_was_drawn() -> None:
    drawn = sampler(bucketing=False, num_samples=33)
    similar = sampler(num_samples=33)
    one, other = ([i for batch in b for i in batch] for b in (drawn, similar))
    assert sorted(one) == sorted(other)
    assert len(list(similar)) == len(similar) == 17


def test_batches_come_in_random_order() -> None:
    means = [np.mean([LENGTHS[i] for i in batch]) for batch in sampler()]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.15


def test_seed_decides_all() -> None:
    assert list(sampler(3)) == list(sampler(3)) != list(sampler(4))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(12, 60), st.booleans())
def test_processes_share_the_draws(
    ranks: int, batch_size: int, num_samples: int, bucketing: bool
) -> None:
    parts = [
        sampler(
            num_samples=num_samples,
            batch_size=batch_size,
            bucketing=bucketing,
            rank=rank,
            num_ranks=ranks,
        )
        for rank in range(ranks)
    ]
    batches = [list(part) for part in parts]
    assert {len(b) for b in batches} == {len(part) for part in parts}
    drawn = [i for b in sampler(num_samples=num_samples, bucketing=False) for i in b]
    shared = [i for part in batches for batch in part for i in batch]
    assert not set(shared) - set(drawn)
    if ranks > 1:
        assert all(len(batch) == batch_size for part in batches for batch in part)
        assert len(shared) == num_samples // (ranks * batch_size) * ranks * batch_size


def test_fewer_draws_than_processes_are_refused() -> None:
    with pytest.raises(InputDataError, match="3 exams per epoch are fewer than one batch of 2"):
        sampler(num_samples=3, num_ranks=2)


def test_numbers_must_be_positive() -> None:
    with pytest.raises(InputDataError, match="batch_size, pool_batches and num_ranks are 0"):
        sampler(batch_size=0)


def test_word_of_the_command_line_counts_as_what_it_says() -> None:
    """``--bucketing false`` arrives as a text."""
    assert sampler(bucketing="false").bucketing is False  # type: ignore[arg-type]
    with pytest.raises(InputDataError, match="bucketing is 'off'; write true or false"):
        sampler(bucketing="off")  # type: ignore[arg-type]


def test_lengths_come_from_the_datalist_or_else_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "pet.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 12), np.int16), np.diag([2.0, 2.0, 3.0, 1.0])), path)
    items: list[dict[str, Any]] = [
        {"exam_id": "E1", "pet": "nowhere.nii", "num_slices": 208},
        {"exam_id": "E2", "pet": str(path), "num_slices": None},
    ]
    assert exam_lengths(items) == [208, 12]
    with pytest.raises(InputDataError, match=r"exam E1: nowhere\.nii does not exist"):
        exam_lengths([items[0] | {"num_slices": None}])


def test_log_says_what_is_wasted(caplog: pytest.LogCaptureFixture) -> None:
    lengths = [10, 30, 10, 30]
    batches = LengthBatchSampler(SequentialSampler(lengths), lengths, batch_size=2)
    with caplog.at_level("INFO"):
        batches.log_padding()
    assert (
        "padding: 0.0 % of the slices with batches of similar length, 33.3 % without" in caplog.text
    )
