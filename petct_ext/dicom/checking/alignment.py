"""Whether PET and CT lie on each other, by ITK's mutual information.

Mutual information says how well one image foretells the other, whatever their units. It is largest
where both lie on each other; Mattes et al., PET-CT image registration in the chest using free-form
deformations, IEEE Trans Med Imaging 2003;22:120-128, register such pairs by it. Here nothing is
moved: the value as given is compared with those at rigid shifts.

ITK takes some 10 s and 500 MB, so that it is imported by the measurement alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.files.decoding import AIR_HU
from petct_ext.errors import InputDataError

__all__ = [
    "ALIGNMENT_CHECK",
    "LARGEST_SHIFT_MM",
    "Alignment",
    "has_itk",
    "measure_alignment",
    "require_itk",
]

ALIGNMENT_CHECK: Final = "alignment"
"""Name of the check."""

LARGEST_SHIFT_MM: Final = 20.0
"""From here on PET and CT do not lie on each other.

A choice: breathing alone moves organs near the diaphragm by 10 to 20 mm between a PET and a CT in
one breath, which is not a fault of the exam.
"""

_SEARCHED_MM = 80.0
_LEAST_SEARCHED_MM = 24.0  # with less the limit cannot be told from the border
_VOXELS_MM = (8.0, 4.0)  # small boxes need more voxels
_LEAST_VOXELS = 10_000  # with fewer, 32 x 32 bins tell more than is there: 32^2 / 2 / n nats
_LEAST_GAIN = 0.1  # less is what noise and another breath give
_LEAST_CONTRAST = 0.15
_LEAST_INFORMATION = 0.05  # nats; independent images give as much with the fewest voxels
_BODY_HU = -300.0
_HU_WINDOW = (AIR_HU, 300.0)  # bone is rare: its range would empty the bins of soft tissue
_NUM_BINS = 32
_AROUND_BODY_MM = 24.0
_CUT_SHARE = 0.15  # of an outermost plane: then the field of view ends within the body
_WAYS = (("right", "left"), ("front", "back"), ("head", "feet"))

_Shift: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the PET lies on the CT.

    Attributes:
        shift_mm: how far the PET lies from where it fits the CT best: to the patient's right, to
            the front, to the head; zeros if nothing could be measured.
        gain: how much larger mutual information is there than as given, as a share; at least 0.
        state: fine within ``LARGEST_SHIFT_MM``.
        text: the finding, or why nothing could be measured.
    """

    shift_mm: tuple[float, float, float]
    gain: float
    state: CheckState
    text: str

    def to_check(self) -> Check:
        """Returns the check as it stands beside those of ``exam.json``; its value is in mm."""
        is_known = self.state is not CheckState.NOT_MEASURED
        value = float(np.linalg.norm(self.shift_mm)) if is_known else None
        return Check(ALIGNMENT_CHECK, self.state, self.text, value=value, unit="mm")


def has_itk() -> bool:
    """Returns whether ITK is installed, without importing it."""
    return find_spec("itk") is not None


def require_itk() -> None:
    """Refuses a measurement without ITK before anything slow begins.

    Raises:
        InputDataError: if ITK is not installed; says how to install it.
    """
    if not has_itk():
        raise InputDataError(
            "the alignment of PET and CT needs ITK; install it with: pip install 'petct_ext[itk]', "
            "or leave the check out with --alignment none."
        )


def measure_alignment(pet: FloatArray, ct: FloatArray, spacing_mm: Sequence[float]) -> Alignment:
    """Looks for the rigid shift at which PET and CT have most mutual information.

    Voxels of about 8 mm are shifted by whole ones, up to 80 mm along each axis in turn, twice. Each
    shift is judged on the same part of the CT. Where the field of view ends within the body, that
    part is smaller, for the border of two images that were cut alike lies on itself.

    Args:
        pet: SUV or any other unit, at least 0, (X, Y, Z), RAS+.
        ct: HU, same shape and grid; ``AIR_HU`` where the CT has nothing.
        spacing_mm: along X, Y and Z.

    Returns:
        The best shift. It is not fine from 20 mm on if mutual information is at least 10 % larger
        there; a flat or too short curve is not measured.

    Raises:
        InputDataError: if ITK is not installed.

    Example:
        >>> empty = np.zeros((8, 8, 8), np.float32)
        >>> str(measure_alignment(empty, empty - 1024, (8, 8, 8)).state)
        'not measured'
    """
    shared = ""
    for voxel_mm in _VOXELS_MM:
        pair = _Pair.of(pet, ct, spacing_mm, voxel_mm=voxel_mm)
        if pair is None:
            return _unknown("PET and CT share no part of the body")
        shared = " x ".join(f"{mm:.0f}" for mm in pair.shared_mm)
        if math.prod(pair.size) >= _LEAST_VOXELS and min(pair.searched_mm) >= _LEAST_SEARCHED_MM:
            value_at = _MutualInformation(pair)
            return _judge(value_at, _search(value_at, pair.most), pair.spacing_mm)
    return _unknown(f"PET and CT share too little of the body to look for shifts: {shared} mm")


def _unknown(reason: str) -> Alignment:
    return Alignment((0.0, 0.0, 0.0), 0.0, CheckState.NOT_MEASURED, reason)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Coarse PET and CT with room for shifts.

    Attributes:
        pet: square root of SUV, which evens out organs and lesions; (X, Y, Z).
        ct: HU within the window, same shape.
        spacing_mm: along X, Y and Z.
        first: first voxel of the part that is judged, along each axis.
        size: its voxels.
        most: largest shift in voxels.
        shared: voxels that PET and CT share.
    """

    pet: FloatArray
    ct: FloatArray
    spacing_mm: tuple[float, float, float]
    first: _Shift
    size: _Shift
    most: _Shift
    shared: _Shift

    @property
    def searched_mm(self) -> tuple[float, float, float]:
        """Largest shift along each axis."""
        x, y, z = (k * mm for k, mm in zip(self.most, self.spacing_mm, strict=True))
        return x, y, z

    @property
    def shared_mm(self) -> tuple[float, float, float]:
        """What PET and CT share, without the room."""
        x, y, z = (n * mm for n, mm in zip(self.shared, self.spacing_mm, strict=True))
        return x, y, z

    @classmethod
    def of(
        cls, pet: FloatArray, ct: FloatArray, spacing_mm: Sequence[float], *, voxel_mm: float
    ) -> _Pair | None:
        """Returns None if there is no body with uptake in both."""
        steps = [max(1, round(voxel_mm / s)) for s in spacing_mm]
        pet, ct = _averaged(pet, steps), _averaged(np.clip(ct, *_HU_WINDOW), steps)
        shared = _shared_part(pet, ct)
        if shared is None:
            return None
        pet, ct = np.maximum(pet[shared], 0.0), ct[shared]
        body = ct > _BODY_HU
        if not body.any() or not (pet[body] > 0).any():
            return None
        pet = np.sqrt(np.minimum(pet, np.percentile(pet[body], 99)))
        x, y, z = (float(s) * k for s, k in zip(spacing_mm, steps, strict=True))
        return cls._with_room(pet, ct, body, (x, y, z))

    @classmethod
    def _with_room(
        cls, pet: FloatArray, ct: FloatArray, body: Any, spacing: tuple[float, float, float]
    ) -> _Pair:
        pads, first, size, most = [], [], [], []
        for axis, mm in enumerate(spacing):
            planes = body.any(axis=tuple(a for a in range(3) if a != axis)).nonzero()[0]
            room, length = round(_AROUND_BODY_MM / mm), body.shape[axis]
            low, high = max(0, planes[0] - room), min(length, planes[-1] + 1 + room)
            is_cut = axis == 2 or _is_cut(body, axis)
            reach = min(_SEARCHED_MM, length * mm / 4) if is_cut else _SEARCHED_MM
            k = int(reach / mm + 1e-6)
            if is_cut:
                low, high = max(low, k), min(high, length - k)
            pads.append((0, 0) if is_cut else (k, k))
            first.append(int(low) + pads[-1][0])
            size.append(max(0, int(high - low)))
            most.append(k)
        pet, ct = (np.pad(array, pads, mode="edge") for array in (pet, ct))
        return cls(
            pet, ct, spacing, _triple(first), _triple(size), _triple(most), _triple(body.shape)
        )


def _triple(numbers: Sequence[int]) -> _Shift:
    x, y, z = numbers
    return x, y, z


def _averaged(array: FloatArray, steps: Sequence[int]) -> FloatArray:
    """Returns means over blocks of ``steps`` voxels; what is left over at the ends is dropped."""
    blocks: list[int] = []
    for length, step in zip(array.shape, steps, strict=True):
        blocks += [max(length // step, 1), min(step, length)]
    whole = array[tuple(slice(n * step) for n, step in zip(blocks[::2], blocks[1::2], strict=True))]
    averaged: FloatArray = whole.reshape(blocks).mean(axis=(1, 3, 5), dtype=np.float32)
    return averaged


def _shared_part(pet: FloatArray, ct: FloatArray) -> tuple[slice, slice, slice] | None:
    """Returns the box of the CT's field of view, along Z only where the PET has values, too."""
    seen = ct > AIR_HU + 0.5
    seen &= (pet > 0).any(axis=(0, 1))
    if not seen.any():
        return None
    ends = [np.flatnonzero(seen.any(axis=others))[[0, -1]] for others in ((1, 2), (0, 2), (0, 1))]
    x, y, z = (slice(int(low), int(high) + 1) for low, high in ends)
    return x, y, z


def _is_cut(body: Any, axis: int) -> bool:
    return max(float(body.take(end, axis=axis).mean()) for end in (0, -1)) > _CUT_SHARE


class _MutualInformation:
    """ITK's metric at shifts in voxels; each is computed once."""

    def __init__(self, pair: _Pair) -> None:
        itk = _itk()
        volume = itk.Image[itk.F, 3]
        fixed, moving = (_image(itk, array, pair.spacing_mm) for array in (pair.ct, pair.pet))
        judged = volume.New()
        judged.SetRegions(list(pair.size))
        judged.SetSpacing(list(pair.spacing_mm))
        judged.SetOrigin([n * mm for n, mm in zip(pair.first, pair.spacing_mm, strict=True)])
        judged.Allocate()
        self._transform = itk.TranslationTransform[itk.D, 3].New()
        metric = itk.MattesMutualInformationImageToImageMetricv4[volume, volume].New()
        metric.SetFixedImage(fixed)
        metric.SetMovingImage(moving)
        metric.SetNumberOfHistogramBins(_NUM_BINS)
        metric.SetMovingTransform(self._transform)
        metric.SetVirtualDomainFromImage(judged)
        metric.SetUseFixedImageGradientFilter(False)
        metric.SetUseMovingImageGradientFilter(False)
        metric.SetMaximumNumberOfWorkUnits(1)  # exams already run side by side
        metric.Initialize()
        self._metric, self._spacing_mm = metric, pair.spacing_mm
        self._kept = fixed, moving, judged  # ITK does not own what Python made
        self.values: dict[_Shift, float] = {}

    def __call__(self, shift: _Shift) -> float:
        if shift not in self.values:
            parameters = self._transform.GetParameters()
            for axis, (n, mm) in enumerate(zip(shift, self._spacing_mm, strict=True)):
                parameters.SetElement(axis, n * mm)
            self._metric.SetParameters(parameters)
            self.values[shift] = -float(self._metric.GetValue())
        return self.values[shift]


@cache
def _itk() -> Any:
    require_itk()
    return import_module("itk")


def _image(itk: Any, array: FloatArray, spacing_mm: Sequence[float]) -> Any:
    image = itk.image_from_array(np.ascontiguousarray(array.transpose(2, 1, 0), dtype=np.float32))
    image.SetSpacing(list(spacing_mm))
    return image


def _search(value_at: _MutualInformation, most: _Shift) -> _Shift:
    best: _Shift = (0, 0, 0)
    for axis in (2, 0, 1, 2, 0, 1):
        ways = (
            _triple([n if a == axis else best[a] for a in range(3)])
            for n in range(-most[axis], most[axis] + 1)
        )
        best = max(ways, key=value_at)
    return best


def _judge(
    value_at: _MutualInformation, best: _Shift, spacing_mm: tuple[float, float, float]
) -> Alignment:
    given, largest = value_at((0, 0, 0)), value_at(best)
    usual = float(np.median(list(value_at.values.values())))
    if not largest > _LEAST_INFORMATION or (largest - usual) / largest < _LEAST_CONTRAST:
        return _unknown("PET and CT fit no better in one place than in others")
    x, y, z = (n * mm for n, mm in zip(best, spacing_mm, strict=True))
    gain = largest / given - 1 if given > 0 else float("inf")
    found = f"mutual information {given:.2f} as given, {largest:.2f} there"
    far = float(np.linalg.norm((x, y, z))) > LARGEST_SHIFT_MM
    if far and gain < _LEAST_GAIN:
        text = f"no place where PET and CT fit is clear: {_in_words((x, y, z))}, {found}"
        return Alignment((0.0, 0.0, 0.0), gain, CheckState.NOT_MEASURED, text)
    if far:
        text = f"the PET lies {_in_words((x, y, z))} of where it fits the CT ({found})"
        return Alignment((x, y, z), gain, CheckState.NOT_FINE, text)
    text = f"PET and CT fit best within {LARGEST_SHIFT_MM:g} mm of where they lie"
    return Alignment((x, y, z), gain, CheckState.FINE, text)


def _in_words(shift_mm: Sequence[float]) -> str:
    parts = [
        f"{abs(mm):.0f} mm to the {ways[mm < 0]} (axis {axis})"
        for axis, mm, ways in zip("XYZ", shift_mm, _WAYS, strict=True)
        if round(abs(mm)) > 0
    ]
    return ", ".join(parts) or "0 mm"
