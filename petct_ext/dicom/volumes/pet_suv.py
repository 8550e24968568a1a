"""A PET series, DICOM or NIfTI, in SUVbw: opened, with its factors and what was checked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.series.reader import OpenSeries, SeriesVolume, open_series
from petct_ext.dicom.suv.factors import SuvFactors, suv_bw_factors
from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.suv.plausibility import header_checks
from petct_ext.dicom.volumes.nifti_pairs import (
    is_volume_file,
    manifest_checks,
    manifest_suv_factors,
    read_pair_pet,
)
from petct_ext.dicom.volumes.value_ranges import VolumeUnits
from petct_ext.errors import InputDataError

__all__ = ["SUV_BW", "Pet", "SuvMode", "open_pet", "read_pet_suv"]

SuvMode: TypeAlias = Literal["required", "optional"]

SUV_BW: Final = "SUVbw"
"""What ``pet_units`` says if the PET is in SUV by body weight (g/mL)."""

_NO_OVERRIDES = SuvOverrides()


@dataclass(frozen=True, slots=True)
class Pet:
    """A PET series with its units and how they came about.

    Attributes:
        series: the series; planes of it are in the units of its header.
        units: of :meth:`planes`.
        suv: the factors.
        problem: why there is no SUV; empty if there is one.
        checks: of what the header, or the manifest, says.
        said: what the manifest says of a volume file; None for DICOM, which says its units.
    """

    series: OpenSeries | SeriesVolume
    units: str
    suv: SuvFactors
    problem: str = ""
    checks: tuple[Check, ...] = ()
    said: Mapping[str, Any] | None = None

    def units_check(self) -> Check:
        """Returns whether the PET is in SUVbw; soft, since someone has asked for such exams."""
        if self.units == SUV_BW:
            return Check("pet_units", CheckState.FINE, f"the PET is in {SUV_BW}")
        text = f"the PET is in {self.units}, not SUV: {self.problem.rstrip('.')}"
        return Check("pet_units", CheckState.NOT_FINE, text)

    def assumption_check(self) -> Check:
        """Returns what was assumed for the SUV, such as another tracer; soft."""
        text = "; ".join(warning.rstrip(".") for warning in self.suv.warnings)
        state = CheckState.NOT_FINE if text else CheckState.FINE
        return Check("suv_assumptions", state, text or "nothing was assumed for the SUV")

    def own_checks(self) -> list[Check]:
        """Returns all that is known of the PET alone; complete after its planes were read."""
        first = (self.units_check(), self.assumption_check())
        return [*first, *self.checks, *self.series.checks]

    def planes(self) -> Iterator[FloatArray]:
        """Yields the slices (X, Y) in ``units``."""
        factors = self.suv.factors.astype(np.float32)
        for plane, factor in zip(self.series.planes(), factors, strict=True):
            yield np.multiply(plane, factor, out=plane) if self.units == SUV_BW else plane


def read_pet_suv(
    files: Sequence[Path], *, overrides: SuvOverrides = _NO_OVERRIDES
) -> tuple[SeriesVolume, SuvFactors]:
    """Reads a PET series in SUVbw.

    Args:
        files: the files of the series, in any order; or a volume file and what is said of it, see
            :mod:`petct_ext.dicom.volumes.nifti_pairs`.
        overrides: values to use instead of the header's.

    Returns:
        The volume in g/mL and the factors, one per slice, that were applied to the rescaled values.

    Raises:
        InputDataError: see :func:`~petct_ext.dicom.series.reader.read_series` and
            :func:`~petct_ext.dicom.suv.factors.suv_bw_factors`.
    """
    pet = open_pet(files, overrides=overrides)
    volume = pet.series.load() if isinstance(pet.series, OpenSeries) else pet.series
    factors = pet.suv.factors.astype(np.float32)  # slices lie along the last axis
    array = np.multiply(volume.array, factors, out=_reusable(volume.array))
    return replace(volume, array=array), pet.suv


def open_pet(
    files: Sequence[Path], *, suv: SuvMode = "required", overrides: SuvOverrides = _NO_OVERRIDES
) -> Pet:
    """Opens a PET series in SUVbw or, if that is optional and impossible, in its own units.

    Raises:
        InputDataError: as :func:`read_pet_suv`; for want of a SUV only if it is required.
    """
    series: OpenSeries | SeriesVolume
    said: Mapping[str, Any] | None = None
    if is_volume_file(files):
        series, said = read_pair_pet(files)
        units = str(said["pet_units"])
        find = partial(manifest_suv_factors, said, num_slices=series.shape[2], overrides=overrides)
        check = partial(manifest_checks, said, overrides=overrides)
        audit: list[dict[str, Any]] = []
    else:
        series = open_series(files)
        units = str(series.datasets[0].get("Units") or "unknown")
        audit = overrides.apply(series.datasets)
        find = partial(suv_bw_factors, series.datasets)
        check = partial(header_checks, series.datasets)
    num_slices = series.shape[2]
    try:
        found = _overridden(find, num_slices, overrides)
    except InputDataError as error:
        if suv == "required":
            raise
        no_suv = SuvFactors(np.ones(num_slices), audit, [])
        return Pet(series, units, no_suv, str(error), tuple(check(decide_suv=False)))
    is_given = units in ("GML", VolumeUnits.SUVBW) or overrides.suv_bw_factor is not None
    checks = tuple(check(decide_suv=not is_given))
    suv_found = SuvFactors(found.factors, audit + found.audit, found.warnings)
    return Pet(series, SUV_BW, suv_found, checks=checks, said=said)


def _overridden(
    find: Callable[[], SuvFactors], num_slices: int, overrides: SuvOverrides
) -> SuvFactors:
    """Returns what ``find`` gives, or the factor that was supplied with what it replaces."""
    supplied = overrides.suv_bw_factor
    if supplied is None:
        return find()
    try:
        replaced: float | str = float(np.median(find().factors))
    except InputDataError as error:
        replaced = f"none: {error}"
    line = {"override": "suv_bw_factor", "value": supplied, "instead_of": replaced}
    note = f"the SUVbw factor {supplied:g} was supplied (--suv-overrides), not computed."
    return SuvFactors(np.full(num_slices, supplied), [line], [note])


def _reusable(array: FloatArray) -> FloatArray | None:
    """Returns an array that may hold a result, None if it is a view of a file's bytes."""
    return array if array.flags.writeable else None
