"""Batches of exams of different lengths: collated, read ahead, prepared on the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import torch
from monai.data import DataLoader, get_track_meta, set_track_meta
from monai.engines import PrepareBatch
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, IMAGE, LABEL, NUM_SLICES, SPLIT

__all__ = [
    "VOLUME_KEYS",
    "PrepareExamBatch",
    "ThreadedDataLoader",
    "gather_exams",
    "stack_slices",
]

VOLUME_KEYS: Final = "volumes"
"""Key of a batch: for each exam a dictionary with all that its item holds of volumes."""


def gather_exams(exams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Joins exams into a batch without touching their volumes.

    Volumes differ in length and are still as stored;
    :class:`petct_ext.scan.data.batches.PrepareExamBatch` pads and stacks them on the device.

    Args:
        exams: items with ``label`` (R,), ``exam_id``, if they have it ``split``, and anything else,
            such as ``pet`` and ``ct`` (1, X, Y, Z) with their scales.

    Returns:
        ``volumes``, a list with what else the items hold; ``label`` (B, R); lists ``exam_id`` and
        ``split``.
    """
    known = (LABEL, EXAM_ID, SPLIT)
    return {
        VOLUME_KEYS: [{k: _plain(v) for k, v in exam.items() if k not in known} for exam in exams],
        LABEL: default_collate([torch.as_tensor(exam[LABEL]) for exam in exams]),
        EXAM_ID: [exam[EXAM_ID] for exam in exams],
        SPLIT: [exam.get(SPLIT, "") for exam in exams],
    }


def stack_slices(images: Sequence[Tensor], names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Pads exams to the longest along Z and stacks them.

    Args:
        images: each (C, X, Y, Z); Z may differ.
        names: of the exams, for errors.

    Returns:
        Plain tensor (B, C, X, Y, Zmax), zeros (air, no uptake) at the high end of shorter exams,
        and how many slices of each are real (B,), both on the device of the images.

    Raises:
        InputDataError: if channels or in-plane sizes differ.
    """
    first = images[0].shape[:3]
    for image, name in zip(images, names, strict=True):
        if image.shape[:3] != first:
            raise InputDataError(
                f"exam {name}: its image has shape {tuple(image.shape)}, but the batch begins with "
                f"{tuple(first)} channels and voxels in-plane (exam {names[0]}); prepare all exams "
                "with the same in-plane size, or set batch_size to 1."
            )
    longest = max(image.shape[-1] for image in images)
    # A MetaTensor would take every operation of the network through Python, twice as slow.
    padded = [_plain(F.pad(image, (0, longest - image.shape[-1]))) for image in images]
    num_slices, device = torch.tensor([image.shape[-1] for image in images]), padded[0].device
    if device.type == "cuda":
        num_slices = num_slices.pin_memory()  # else the copy waits for the work of the device
    return torch.stack(padded), num_slices.to(device, non_blocking=True)


def _plain(value: Any) -> Any:
    return convert_to_tensor(value, track_meta=False) if isinstance(value, Tensor) else value


class ThreadedDataLoader(DataLoader):
    """MONAI's loader with threads in place of worker processes.

    Reading a prepared volume is one system call that lets other threads run, and needs no
    arithmetic. Processes would copy each volume twice more, through shared memory, of which a
    container has little; ``benchmarks/exam_loading.py`` compares. Errors arrive as they are, not
    wrapped in the traceback of a worker.

    The transforms of the data set must not be random: threads come in no fixed order. Random ones
    run in :class:`petct_ext.scan.data.batches.PrepareExamBatch`, one exam after the other.

    Args:
        dataset: the exams.
        num_workers: threads that read ahead; 0 reads when a batch is asked for.
        prefetch_batches: how many batches are read ahead.
        pin_memory: put volumes into page-locked memory, from which a GPU copies while it computes.
        **options: as of ``torch.utils.data.DataLoader``, such as ``batch_sampler``, ``collate_fn``.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        num_workers: int = 0,
        prefetch_batches: int = 4,
        pin_memory: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(dataset, num_workers=0, **options)
        self.num_threads = num_workers
        self.prefetch_batches = prefetch_batches
        self.pins = pin_memory

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yields batches in the order of the batch sampler."""
        batches: Any = self.batch_sampler
        if self.num_threads == 0:
            for indices in batches:
                yield self.collate_fn([self._load(index) for index in indices])
            return
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="exams")
        ahead: deque[list[Future[Any]]] = deque()
        try:
            for indices in batches:
                ahead.append([pool.submit(self._load, index) for index in indices])
                if len(ahead) > self.prefetch_batches:
                    yield self._gather(ahead.popleft())
            while ahead:
                yield self._gather(ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _load(self, index: int) -> Any:
        item = self.dataset[index]
        return _pinned(item) if self.pins else item

    def _gather(self, items: list[Future[Any]]) -> Any:
        return self.collate_fn([item.result() for item in items])


class PrepareExamBatch(PrepareBatch):
    """Moves volumes to the device, transforms each exam there, pads and stacks them.

    Windows, crops and resizing take a GPU a millisecond and a CPU a tenth of a second. The volumes
    are taken out of the batch, so that their memory is free for what is read ahead.

    Args:
        transforms: of one exam: takes its item, returns it with ``image`` (C, X, Y, Z). May be
            random; ``monai.data.utils.set_rnd`` seeds it through this object.
        num_channels: channels of ``image`` that the network takes; None does not check.
        keep_meta: whether ``transforms`` keep affines and histories, which nobody reads behind
            this point and which take a CPU as long as the transforms. False is for a loader without
            threads only: MONAI's switch is one for the whole process.
    """

    def __init__(
        self,
        transforms: Callable[[dict[str, Any]], Any],
        *,
        num_channels: int | None = None,
        keep_meta: bool = True,
    ) -> None:
        self.transforms = transforms
        self.num_channels = num_channels
        self.keep_meta = keep_meta

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor, tuple[()], dict[str, Tensor]]:
        """Returns inputs and targets for MONAI's trainer and evaluator.

        Args:
            batchdata: result of :func:`petct_ext.scan.data.batches.gather_exams`, without its
                volumes afterwards.
            device: where to put all.
            non_blocking: do not wait for the copy to the device.
            **kwargs: further options of ``Tensor.to``, for the image.

        Returns:
            Image (B, C, X, Y, Zmax), labels (B, R), nothing, and ``num_slices`` (B,).

        Raises:
            InputDataError: if an exam has another number of channels, or sizes in-plane differ.
        """
        names = batchdata[EXAM_ID]
        with _meta(keep=self.keep_meta):
            images = [
                self._image(item, name, device=device, non_blocking=non_blocking)
                for item, name in zip(batchdata.pop(VOLUME_KEYS), names, strict=True)
            ]
        image, num_slices = stack_slices(images, names)
        label = batchdata[LABEL].to(device=device, non_blocking=non_blocking)
        return image.to(**kwargs) if kwargs else image, label, (), {NUM_SLICES: num_slices}

    def _image(self, item: dict[str, Any], name: str, **place: Any) -> Tensor:
        moved = {k: v.to(**place) if isinstance(v, Tensor) else v for k, v in item.items()}
        image: Tensor = self.transforms(moved)[IMAGE]
        if self.num_channels is not None and image.shape[0] != self.num_channels:
            raise InputDataError(
                f"exam {name}: its image has {image.shape[0]} channels, but the network takes "
                f"{self.num_channels}; set network_def#in_channels to what the transforms join "
                "(2: PET and CT)."
            )
        return image


@contextmanager
def _meta(*, keep: bool) -> Iterator[None]:
    tracked = get_track_meta()
    set_track_meta(tracked and keep)
    try:
        yield
    finally:
        set_track_meta(tracked)


def _pinned(item: dict[str, Any]) -> dict[str, Any]:
    """Returns an item in memory from which a GPU copies while it computes."""
    return {k: v.pin_memory() if isinstance(v, Tensor) else v for k, v in item.items()}
