"""The input volume as the 2021 paper's authors made it, for ablation only.

**Do not use it for anything else.** Each slice is stretched to the same number of pixels whatever
its field of view, and the stacks are paired by counting slices: with a PET of 700 mm and a CT of
500 mm the two channels do not show the same place, in-plane and along the body. The z-score of each
exam removes SUV and HU, so equal uptake does not look equal in two patients.

Facts from the authors' code, github.com/seyuboglu/weakly-supervised-petct, commit 88b7f4c:
``pet_ct/data/dicom.py`` (stored pixel values without rescale, slices by height from the feet),
``pet_ct/data/preprocess.py`` (bilinear resize of each slice by OpenCV, mean 0 and deviation 1 of
each whole stack, then the longer stack cut at the head). Own code.

Shapes: X, Y, Z voxels, axes turned to right, anterior and superior.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Orientation, Transform
from monai.utils import SpaceKeys
from torch import Tensor
from torch.nn import functional as F

from petct_ext.errors import InputDataError
from petct_ext.keys import CT, IMAGE, PET
from petct_ext.scan.transforms.reader import STORED, UNITS

__all__ = ["PaperVolume", "PaperVolumed"]


_NAMES = ("PET", "CT")


class PaperVolume(Transform):
    """Makes the two-channel volume of the authors; see the warning of this module.

    Images whose meta data say ``units: stored``
    (:class:`~petct_ext.scan.transforms.reader.DicomExamReader` with ``stored_values``) are rounded
    to whole numbers after resizing, as OpenCV does with 16-bit slices. The volume is not
    invertible: its channels have no common place.

    Args:
        in_plane: pixels along X and Y.

    Raises:
        InputDataError: if ``in_plane`` is not positive.
    """

    def __init__(self, *, in_plane: int = 224) -> None:
        if in_plane < 1:
            raise InputDataError(f"in_plane is {in_plane}; it must be positive.")
        self.in_plane = in_plane

    def __call__(self, data: tuple[MetaTensor, MetaTensor]) -> MetaTensor:
        """Returns shape (2, in_plane, in_plane, Z), float32, PET first.

        Z is the smaller number of slices, counted from the feet. The affine is that of the resized
        PET and holds for the PET's channel only.

        Args:
            data: PET and CT, each of shape (1, X, Y, Z) on its own lattice.

        Raises:
            InputDataError: if an image has another shape, or all its values are equal.
        """
        pet, ct = (_upright(image, name) for image, name in zip(data, _NAMES, strict=True))
        channels = [
            self._standardized(image, name) for image, name in zip((pet, ct), _NAMES, strict=True)
        ]
        slices = min(channel.shape[-1] for channel in channels)
        volume = torch.stack([channel[..., :slices] for channel in channels])
        return MetaTensor(volume, affine=self._affine(pet), meta={"space": SpaceKeys.RAS})

    def _standardized(self, image: MetaTensor, name: str) -> Tensor:
        slices = image.as_tensor()[0].float().permute(2, 0, 1)[:, None]
        # Pixel centers at halves, edges repeated, no smoothing: OpenCV's INTER_LINEAR.
        resized = F.interpolate(
            slices, size=(self.in_plane, self.in_plane), mode="bilinear", align_corners=False
        )[:, 0].permute(1, 2, 0)
        if image.meta.get(UNITS) == STORED:
            resized = resized.round()
        values = resized.double()
        deviation = float(values.std(correction=0))
        if not deviation > 0:
            raise InputDataError(
                f"the {name} has a standard deviation of {deviation:g}; it is empty or holds NaN."
            )
        return ((values - values.mean()) / deviation).float().contiguous()

    def _affine(self, pet: MetaTensor) -> Tensor:
        scale = np.array([pet.shape[1] / self.in_plane, pet.shape[2] / self.in_plane, 1.0])
        step = np.diag([*scale, 1.0])
        step[:3, 3] = (scale - 1) / 2
        affine: Tensor = pet.affine @ torch.from_numpy(step).to(pet.affine)
        return affine


class PaperVolumed(MapTransform):
    """Dictionary twin of :class:`PaperVolume`.

    Args:
        keys: of the PET and of the CT, in this order.
        name: key of the volume.
        in_plane: pixels along X and Y.

    Raises:
        InputDataError: if there are not two keys, or as :class:`PaperVolume`.
    """

    def __init__(
        self, keys: KeysCollection = (PET, CT), *, name: str = IMAGE, in_plane: int = 224
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 2:
            raise InputDataError(f"keys are {self.keys}; the PET's and the CT's are needed.")
        self.name = name
        self.paper_volume = PaperVolume(in_plane=in_plane)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns the data with the two-channel volume under ``name``.

        Raises:
            InputDataError: as :meth:`PaperVolume.__call__`.
        """
        pet, ct = self.keys
        return {**data, self.name: self.paper_volume((data[pet], data[ct]))}


def _upright(image: MetaTensor, name: str) -> MetaTensor:
    if image.ndim != 4 or image.shape[0] != 1 or not hasattr(image, "affine"):
        raise InputDataError(
            f"the {name} has shape {tuple(image.shape)}; (1, X, Y, Z) with an affine is needed. "
            "Give LoadImaged ensure_channel_first."
        )
    return MetaTensor(Orientation(axcodes="RAS", labels=None)(image))
