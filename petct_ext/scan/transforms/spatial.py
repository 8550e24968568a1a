"""PET and CT onto the grid that they share, and images and maps back onto a series' own lattice.

Shapes: C channels; X, Y, Z voxels, axes pointing right, anterior and superior on the common grid.
Affines map voxel centers to RAS+ mm. The mathematics is that of the prepared volumes,
:mod:`petct_ext.dicom.volumes.resampling`: a bundle that starts from DICOM sees what one that starts
from ``scripts/prepare_exams.py`` sees.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys

from petct_ext.arrays import Affine, FloatArray
from petct_ext.dicom.files.decoding import AIR_HU
from petct_ext.dicom.volumes.exam_reading import HU_RANGE, GridChoice
from petct_ext.dicom.volumes.exam_record import RECORD
from petct_ext.dicom.volumes.nifti import nifti_grid, write_nifti
from petct_ext.dicom.volumes.resampling import Grid, common_grid, grid_to_series, resample
from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.keys import CT, PET

__all__ = ["CommonGrid", "CommonGridd", "exam_grids", "map_on_series", "write_map_on_series"]


class CommonGrid(InvertibleTransform):
    """Samples PET and CT, each with its own affine, on one RAS+ grid.

    The grid is that of :func:`~petct_ext.dicom.volumes.resampling.common_grid`; beyond a scan PET
    is 0 and CT -1024 HU. CT is limited to ``ct_range_hu`` before it is sampled and PET to at least
    0 after.

    The inverse samples an image on the grid, or anything else on it such as an attention map, on
    the lattice from which the image came. It undoes the geometry; what was limited stays limited.

    Args:
        in_plane: voxels along X and Y.
        field_of_view_mm: side of the square field of view in mm.
        slice_mm: distance of slices in mm; None keeps those of the PET.
        ct_range_hu: limits of the CT in HU.
        outside_grid: value that the inverse gives where a series reaches beyond the grid: 0 suits
            SUV and maps.

    Raises:
        InputDataError: if a size or the range is not positive.
    """

    def __init__(
        self,
        *,
        in_plane: int = 224,
        field_of_view_mm: float = 500.0,
        slice_mm: float | None = None,
        ct_range_hu: tuple[float, float] = HU_RANGE,
        outside_grid: float = 0.0,
    ) -> None:
        self.choice = GridChoice(in_plane, field_of_view_mm, slice_mm)
        low, high = ct_range_hu
        if not low < high:
            raise InputDataError(f"ct_range_hu is {low:g} to {high:g}; it must go upwards.")
        self.ct_range_hu = (float(low), float(high))
        self.outside_grid = outside_grid

    def __call__(self, data: tuple[MetaTensor, MetaTensor]) -> tuple[MetaTensor, MetaTensor]:
        """Returns PET and CT of shape (1, X, Y, Z), float32, with the affine of the grid.

        Args:
            data: PET in SUVbw and CT in HU, each of shape (1, X, Y, Z) on its own lattice.

        Raises:
            InputDataError: if an image has another shape or no affine, or the two do not overlap.
        """
        pet, ct = data
        suv, hu = _volume(pet, "PET"), _volume(ct, "CT")
        pet_affine, ct_affine = _affine(pet), _affine(ct)
        grid = common_grid(
            (suv.shape, pet_affine),
            (hu.shape, ct_affine),
            in_plane=self.choice.in_plane,
            field_of_view_mm=self.choice.field_of_view_mm,
            slice_mm=self.choice.slice_mm,
        )
        suv = resample(suv, pet_affine, grid, outside=0.0)
        hu = resample(np.clip(hu, *self.ct_range_hu), ct_affine, grid, outside=AIR_HU)
        return self._on_grid(pet, np.maximum(suv, 0.0), grid), self._on_grid(ct, hu, grid)

    def inverse(self, image: MetaTensor) -> MetaTensor:
        """Returns an image on the grid on the lattice that its applied operations name.

        Args:
            image: shape (C, X, Y, Z) of the grid.

        Returns:
            Shape (C, X', Y', Z') of the original series, float32, with its affine; trilinear, or
            nearest neighbor where :class:`monai.transforms.Invertd` asks for it.

        Raises:
            InputDataError: if the image has not the shape of the grid.
        """
        info = self.pop_transform(image)[TraceKeys.EXTRA_INFO]
        grid = Grid(tuple(info["grid_shape"]), np.asarray(info["grid_affine"]))
        series = Grid(tuple(info["series_shape"]), np.asarray(info["series_affine"]))
        if tuple(image.shape[1:]) != grid.shape:
            raise InputDataError(
                f"the image has shape {tuple(image.shape)}, the grid to be inverted {grid.shape}; "
                "bring the map to the voxels of the grid first."
            )
        back = _nearest if info["mode"] == "nearest" else grid_to_series
        channels = [
            back(_numpy(channel), grid, series=series, outside=self.outside_grid)
            for channel in image
        ]
        return _with_meta(image, np.stack(channels), series.affine)

    def _on_grid(self, image: MetaTensor, array: FloatArray, grid: Grid) -> MetaTensor:
        output = _with_meta(image, array[None], grid.affine)
        traced: MetaTensor = self.push_transform(  # type: ignore[no-untyped-call]
            output,
            orig_size=tuple(image.shape[1:]),
            extra_info={
                "series_shape": list(image.shape[1:]),
                "series_affine": _affine(image),
                "grid_shape": list(grid.shape),
                "grid_affine": grid.affine,
                "mode": "bilinear",  # MONAI's word; Invertd puts "nearest" here for masks
            },
        )
        return traced


class CommonGridd(MapTransform, InvertibleTransform):
    """Dictionary twin of :class:`CommonGrid`.

    Args:
        keys: of the PET and of the CT, in this order.
        in_plane: see :class:`CommonGrid`.
        field_of_view_mm: see :class:`CommonGrid`.
        slice_mm: see :class:`CommonGrid`.
        ct_range_hu: see :class:`CommonGrid`.
        outside_grid: see :class:`CommonGrid`.

    Raises:
        InputDataError: if there are not two keys, or as :class:`CommonGrid`.
    """

    def __init__(
        self,
        keys: KeysCollection = (PET, CT),
        *,
        in_plane: int = 224,
        field_of_view_mm: float = 500.0,
        slice_mm: float | None = None,
        ct_range_hu: tuple[float, float] = HU_RANGE,
        outside_grid: float = 0.0,
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 2:
            raise InputDataError(f"keys are {self.keys}; the PET's and the CT's are needed.")
        self.common_grid = CommonGrid(
            in_plane=in_plane,
            field_of_view_mm=field_of_view_mm,
            slice_mm=slice_mm,
            ct_range_hu=ct_range_hu,
            outside_grid=outside_grid,
        )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns the data with PET and CT on one grid.

        Raises:
            InputDataError: as :meth:`CommonGrid.__call__`.
        """
        pet, ct = self.keys
        output = dict(data)
        output[pet], output[ct] = self.common_grid((output[pet], output[ct]))
        return output

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns the data with PET and CT, those of them that are there, on their own lattices."""
        output = dict(data)
        for key in self.key_iterator(output):
            output[key] = self.common_grid.inverse(output[key])
        return output


def exam_grids(folder: str | Path) -> dict[str, Grid]:
    """Reads where the voxels of a prepared exam lie, and those of the series it was made from.

    Args:
        folder: ``volumes/<exam_id>``, as ``scripts/prepare_exams.py`` writes it.

    Returns:
        ``volume``, the grid of ``pet.nii`` and ``ct.nii``; ``pet`` and ``ct``, the lattices of the
        original series.

    Raises:
        InputDataError: if the exam is not prepared or was prepared by an earlier version.
    """
    folder = Path(folder)
    grids = {"volume": nifti_grid(folder / "ct.nii")}
    try:
        for name, grid in read_json(folder / RECORD)["original_grids"].items():
            x, y, z = grid["shape"]
            grids[name] = Grid((x, y, z), np.array(grid["affine"], dtype=np.float64))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputDataError):
            raise
        raise InputDataError(
            f"{folder.name}/{RECORD} does not say where the original series lie; prepare the exam "
            "again."
        ) from None
    return grids


def map_on_series(
    values: FloatArray,
    *,
    volume: Grid,
    series: Grid,
    strides: tuple[int, int, int] = (1, 1, 1),
    first_center: tuple[float, float, float] | None = None,
) -> FloatArray:
    """Puts a map such as attention onto the lattice of the original CT or PET.

    The map may be on the encoder's coarse grid, where position ``i`` is centered at voxel
    ``first_center + i * stride`` as in
    :func:`petct_ext.scan.interpretation.maps.attention_map`.
    It is interpolated once, between the centers of its positions, not voxel by voxel and again.

    Args:
        values: shape (X', Y', Z'), any scale.
        volume: grid of the volume that the network saw; see :func:`exam_grids`.
        series: shape and affine of the original series; see :func:`exam_grids`.
        strides: voxels of the volume per position of the map.
        first_center: as in ``attention_map``; None is the middle of the first ``stride`` voxels.

    Returns:
        Array of ``series.shape``, float32; 0 where the series reaches beyond the volume.

    Raises:
        InputDataError: if the map does not cover the volume.
    """
    covered = tuple(n * s for n, s in zip(values.shape, strides, strict=True))
    if any(c < n for c, n in zip(covered, volume.shape, strict=True)):
        raise InputDataError(
            f"a map of shape {values.shape} with strides {strides} does not cover a volume of "
            f"{volume.shape}; it belongs to another volume or other strides."
        )
    step = np.diag([*strides, 1.0])
    step[:3, 3] = (np.array(strides) - 1) / 2
    if first_center is not None:
        # One position more on each side: the volume reaches further than half a stride beyond.
        values = np.pad(values, 1, mode="edge")
        step[:3, 3] = np.array(first_center) - strides
    coarse = Grid(tuple(values.shape), volume.affine @ step)
    output = grid_to_series(np.asarray(values, np.float32), coarse, series=series, outside=0.0)
    if covered != volume.shape or first_center is not None:  # the map is larger than the volume
        for z, places in _places(volume, series):
            output[..., z][~_is_inside(places, volume)] = 0.0
    return output


def write_map_on_series(
    path: str | Path,
    values: FloatArray,
    *,
    volume: Grid,
    series: Grid,
    strides: tuple[int, int, int] = (1, 1, 1),
    first_center: tuple[float, float, float] | None = None,
) -> Path:
    """Writes a map on the lattice of the original series as NIfTI, to be laid over it in a viewer.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        values: see :func:`map_on_series`.
        volume: see :func:`map_on_series`.
        series: see :func:`map_on_series`; the file has its shape and affine.
        strides: see :func:`map_on_series`.
        first_center: see :func:`map_on_series`.

    Returns:
        The path.

    Raises:
        InputDataError: as :func:`map_on_series`.
        OutputError: if the file cannot be written.
    """
    mapped = map_on_series(
        values, volume=volume, series=series, strides=strides, first_center=first_center
    )
    return write_nifti(path, mapped, series.affine)


def _volume(image: MetaTensor, name: str) -> FloatArray:
    if not isinstance(image, MetaTensor):
        raise InputDataError(
            f"the {name} is a {type(image).__name__} without an affine, so its place is unknown; "
            "load it with LoadImaged and do not switch off set_track_meta."
        )
    if image.ndim != 4 or image.shape[0] != 1:
        raise InputDataError(
            f"the {name} has shape {tuple(image.shape)}; (1, X, Y, Z) is needed. Give LoadImaged "
            "ensure_channel_first."
        )
    return _numpy(image[0])


def _numpy(image: torch.Tensor) -> FloatArray:
    array: FloatArray = image.detach().cpu().float().numpy()
    return array


def _affine(image: MetaTensor) -> Affine:
    affine: Affine = image.affine.detach().cpu().double().numpy()
    return affine


def _with_meta(image: MetaTensor, array: FloatArray, affine: Affine) -> MetaTensor:
    """Returns a contiguous tensor with the meta data of ``image`` and another affine."""
    values = torch.from_numpy(np.ascontiguousarray(array)).to(image.device)
    output: MetaTensor = MetaTensor(values).copy_meta_from(image)
    output.affine = torch.from_numpy(affine)
    return output


def _places(grid: Grid, series: Grid) -> Iterator[tuple[int, Affine]]:
    """Yields, slice by slice of the series, where its voxels (3, X, Y) lie in voxels of a grid."""
    to_voxel = np.linalg.inv(grid.affine) @ series.affine
    x, y = np.ogrid[: series.shape[0], : series.shape[1]]
    plane = np.stack([row[0] * x + row[1] * y for row in to_voxel[:3]])
    for z in range(series.shape[2]):
        yield z, plane + (to_voxel[:3, 2] * z + to_voxel[:3, 3])[:, None, None]


def _is_inside(places: Affine, grid: Grid) -> npt.NDArray[np.bool_]:
    """Marks places within the voxels of a grid; a voxel reaches half its size from its center."""
    inside = np.ones(places.shape[1:], dtype=np.bool_)
    for place, size in zip(places, grid.shape, strict=True):
        inside &= (place >= -0.5) & (place <= size - 0.5)
    return inside


def _nearest(array: FloatArray, grid: Grid, *, series: Grid, outside: float) -> FloatArray:
    """Samples a mask on the lattice of a series; counterpart of ``grid_to_series``."""
    output = np.full(series.shape, outside, dtype=np.float32)
    limit = (np.array(grid.shape) - 1)[:, None, None]
    for z, places in _places(grid, series):
        x, y, k = np.clip(np.rint(places), 0, limit).astype(np.intp)
        inside = _is_inside(places, grid)
        output[..., z][inside] = array[x, y, k][inside]
    return output
