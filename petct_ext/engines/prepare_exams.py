"""Exams as stored to the network's input, on the device that trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.engines import PrepareBatch
from torch import Tensor

from petct_ext.data.collate import VOLUMES, stack_slices
from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, IMAGE, LABEL, NUM_SLICES

__all__ = ["PrepareExams"]


class PrepareExams(PrepareBatch):
    """Moves volumes to the device, transforms each exam there, pads and stacks them.

    Windows, crops and resizing take a GPU a millisecond and a CPU a tenth of a second. The volumes
    are taken out of the batch, so that their memory is free for what is read ahead.

    Args:
        transforms: of one exam: takes its item, returns it with ``image`` (C, X, Y, Z). May be
            random; ``monai.data.utils.set_rnd`` seeds it through this object.
        num_channels: channels of ``image`` that the network takes; None does not check.
    """

    def __init__(
        self, transforms: Callable[[dict[str, Any]], Any], *, num_channels: int | None = None
    ) -> None:
        self.transforms = transforms
        self.num_channels = num_channels

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor, tuple[()], dict[str, Tensor]]:
        """Returns inputs and targets for MONAI's trainer and evaluator.

        Args:
            batchdata: result of :func:`petct_ext.data.collate.gather_exams`, without its volumes
                afterwards.
            device: where to put all.
            non_blocking: do not wait for the copy to the device.
            **kwargs: further options of ``Tensor.to``, for the image.

        Returns:
            Image (B, C, X, Y, Zmax), labels (B, R), nothing, and ``num_slices`` (B,).

        Raises:
            InputDataError: if an exam has another number of channels, or sizes in-plane differ.
        """
        names = batchdata[EXAM_ID]
        images = [
            self._image(item, name, device=device, non_blocking=non_blocking)
            for item, name in zip(batchdata.pop(VOLUMES), names, strict=True)
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
