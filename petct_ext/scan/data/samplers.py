"""Which exams are drawn, how often, and in batches of similar length."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import Sampler, WeightedRandomSampler

from petct_ext.bundle.settings import is_on
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.keys import NUM_SLICES, PET
from petct_ext.scan.transforms.volumes import count_slices

__all__ = [
    "LengthBatchSampler",
    "balanced_sampler",
    "exam_lengths",
    "padding_share",
]

_LOGGER = logging.getLogger(__name__)
_STEP: Final = math.log(1.04)


class LengthBatchSampler(Sampler[list[int]]):
    """Joins what another sampler draws into batches of similar length, in random order.

    The draws of one epoch are sorted by length, in steps of 4 %, within pools of some batches, cut
    into batches, and the batches shuffled. Within a step they stay in random order, and an exam
    that was drawn again comes later: its copies would otherwise meet in one batch, from which batch
    norms and gradients learn little.

    With several processes every one makes the same batches and takes its share of each, so that
    none waits for a longer exam of another; incomplete batches are left out then.

    Args:
        sampler: draws exams; with a generator of its own that is seeded alike in all processes.
        lengths: slices of every exam of the data set.
        batch_size: exams per batch and process.
        bucketing: false keeps the order of the sampler.
        pool_batches: batches per pool; more waste less, fewer mix more.
        rank: number of this process.
        num_ranks: how many processes train together.

    Raises:
        InputDataError: if an option is not of its kind, or there are fewer draws than one batch for
            every process.
    """

    def __init__(
        self,
        sampler: Sampler[int],
        lengths: Sequence[int],
        *,
        batch_size: int,
        bucketing: bool = True,
        pool_batches: int = 50,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        if min(batch_size, pool_batches, num_ranks) < 1:
            raise InputDataError(
                f"batch_size, pool_batches and num_ranks are {batch_size}, {pool_batches} and "
                f"{num_ranks}; they must be positive."
            )
        self.sampler = sampler
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.bucketing = is_on(bucketing, "bucketing")
        self.pool_batches = pool_batches
        self.rank, self.num_ranks = rank, num_ranks
        self.generator = torch.Generator()
        if len(self) == 0:
            raise InputDataError(
                f"{len(sampler)} exams per epoch are fewer than one batch of {batch_size} for each "  # type: ignore[arg-type]
                f"of {num_ranks} processes; raise exams_per_epoch or use fewer processes."
            )

    def __len__(self) -> int:
        """Returns the batches of this process."""
        draws, joint = len(self.sampler), self.batch_size * self.num_ranks  # type: ignore[arg-type]
        return draws // joint if self.num_ranks > 1 else -(-draws // joint)

    def __iter__(self) -> Iterator[list[int]]:
        """Draws an epoch; yields the indices of each batch."""
        batches = self._joint_batches(list(self.sampler), bucketing=self.bucketing)
        for batch in batches[: len(self)]:
            yield batch[self.rank :: self.num_ranks]

    def log_padding(self) -> None:
        """Says how many of the slices that go through the network are padding, with and without."""
        drawn = list(self.sampler)
        shares = [
            padding_share(self._joint_batches(drawn, bucketing=choice), self.lengths)
            for choice in (True, False)
        ]
        _LOGGER.info(
            "padding: %.1f %% of the slices with batches of similar length, %.1f %% without "
            "(bucketing is %s)",
            100 * shares[0],
            100 * shares[1],
            "on" if self.bucketing else "off",
        )

    def _joint_batches(self, drawn: list[int], *, bucketing: bool) -> list[list[int]]:
        joint = self.batch_size * self.num_ranks
        if not bucketing:
            return [drawn[i : i + joint] for i in range(0, len(drawn), joint)]
        batches = []
        pool = self.pool_batches * joint
        for start in range(0, len(drawn), pool):
            near = self._sorted(drawn[start : start + pool])
            batches += [near[i : i + joint] for i in range(0, len(near), joint)]
        if self.num_ranks > 1:
            batches = [batch for batch in batches if len(batch) == joint]
        order = torch.randperm(len(batches), generator=self.generator)
        return [batches[i] for i in order.tolist()]

    def _sorted(self, drawn: Sequence[int]) -> list[int]:
        times: Counter[int] = Counter()
        keys = []
        for exam in drawn:
            keys.append((round(math.log(max(self.lengths[exam], 1)) / _STEP), times[exam]))
            times[exam] += 1
        order = sorted(range(len(drawn)), key=keys.__getitem__)  # stable: else the order drawn
        return [drawn[i] for i in order]


def padding_share(batches: Iterable[Sequence[int]], lengths: Sequence[int]) -> float:
    """Returns the share of slices that are padding, in [0, 1).

    Args:
        batches: indices of exams.
        lengths: slices of every exam.

    Example:
        >>> padding_share([[0, 1]], [30, 10])
        0.33333333333333337
    """
    real = padded = 0
    for batch in batches:
        of_batch = [lengths[index] for index in batch]
        real += sum(of_batch)
        padded += max(of_batch) * len(of_batch)
    return 1 - real / padded if padded else 0.0


def exam_lengths(items: Iterable[Mapping[str, Any]]) -> list[int]:
    """Returns how many slices each exam has.

    Args:
        items: as of :func:`petct_ext.scan.data.datalist.load_datalist`; where a datalist does not
            say ``num_slices``, the header of the PET is read.

    Raises:
        InputDataError: if such a header cannot be read; names the exam.
    """
    lengths = []
    for item in items:
        try:
            lengths.append(int(item.get(NUM_SLICES) or count_slices(item[PET])))
        except InputDataError as error:
            raise InputDataError(f"exam {item['exam_id']}: {error}") from None
    return lengths


def balanced_sampler(
    labels: Sequence[np.ndarray],
    *,
    num_samples: int,
    seed: int,
    positive_fraction: float = 0.5,
    tasks: Sequence[str] | None = None,
    balance_on: str | None = None,
) -> WeightedRandomSampler:
    """Draws positives and negatives of one output in a fixed ratio, with replacement.

    With several outputs only one of them can be balanced. Exams whose label of this output is
    unknown are never drawn, even where their other labels are known.

    Args:
        labels: of each exam, shape (T,) for T outputs: positive at or above 0.5, negative below,
            NaN unknown.
        num_samples: draws per epoch.
        seed: seeds the sampler's own generator.
        positive_fraction: share of positives among the draws, between 0 and 1.
        tasks: names of the outputs (T), for ``balance_on`` and for messages.
        balance_on: the output that is balanced, one of ``tasks``; the first if omitted.

    Returns:
        The sampler.

    Raises:
        InputDataError: if there is no positive or no negative exam, the share is not between 0 and
            1, or ``balance_on`` is none of ``tasks``.
    """
    if not 0 < positive_fraction < 1:
        raise InputDataError(
            f"positive_fraction is {positive_fraction}, expected a share above 0 and below 1, e.g. "
            "0.5 for as many positives as negatives."
        )
    output = _output(tasks, balance_on)
    values = np.array([np.asarray(label, dtype=np.float64).flat[output] for label in labels])
    positive, negative = values >= 0.5, values < 0.5
    if not positive.any() or not negative.any():
        where = f" of {tasks[output]!r}" if tasks else ""
        raise InputDataError(
            f"of {len(values)} training exams {positive.sum()} are positive and {negative.sum()} "
            f"negative{where}, {np.isnan(values).sum()} have no label; balanced sampling needs "
            "both. Choose another horizon or region, or add exams."
        )
    weights = np.where(positive, positive_fraction / positive.sum(), 0.0)
    weights += np.where(negative, (1 - positive_fraction) / negative.sum(), 0.0)
    generator = torch.Generator().manual_seed(seed)
    return WeightedRandomSampler(weights.tolist(), num_samples, generator=generator)


def _output(tasks: Sequence[str] | None, balance_on: str | None) -> int:
    if balance_on is None:
        return 0
    if balance_on not in (tasks or ()):
        raise InputDataError(
            f"the draws cannot be balanced on {balance_on!r}, which is no output of the network; "
            f"it has {', '.join(tasks or ()) or 'no named ones'}."
            f"{did_you_mean(balance_on, tasks or ())}"
        )
    return list(tasks or ()).index(balance_on)
