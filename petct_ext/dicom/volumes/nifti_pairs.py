"""PET and CT pairs that come as volume files: what a manifest says of a PET, and SUVbw from it.

A volume file is NIfTI, MetaImage or NRRD. A series of such a pair is listed by the volume, then the
file with its voxels where that is another one, and for a PET last a small JSON file, its *facts*,
with what the manifest says. Facts are part of the list so that volumes are prepared again when
weight or dose are corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from petct_ext.dicom.checking.check import Check
from petct_ext.dicom.series.reader import SeriesVolume
from petct_ext.dicom.suv.arithmetic import suv_bw_scale
from petct_ext.dicom.suv.audit import SuvAudit
from petct_ext.dicom.suv.body_size import body_weight_kg
from petct_ext.dicom.suv.factors import SuvFactors
from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.suv.plausibility import patient_checks
from petct_ext.dicom.suv.radiopharmaceutical import find_nuclide, half_life_s, injected_dose_bq
from petct_ext.dicom.volumes.itk_headers import ITK_SUFFIXES
from petct_ext.dicom.volumes.itk_images import itk_grid, itk_image_files, read_itk_image
from petct_ext.dicom.volumes.nifti import nifti_grid, read_nifti
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.dicom.volumes.value_ranges import VolumeUnits
from petct_ext.errors import InputDataError
from petct_ext.files import read_json

__all__ = [
    "NEEDED_FOR_SUV",
    "is_volume_file",
    "manifest_checks",
    "manifest_suv_factors",
    "read_pair_ct",
    "read_pair_pet",
    "volume_file_grid",
    "volume_files",
]

NEEDED_FOR_SUV = (
    "weight_kg",
    "injected_dose_bq",
    "uptake_time_s",
    "half_life_s",
    "decay_correction",
)
"""What a manifest must give for a PET in Bq/mL."""

_F18_HALF_LIFE_S = 6586.2
_NO_OVERRIDES = SuvOverrides()


def is_volume_file(files: Sequence[Path]) -> bool:
    """Returns whether the files of a series are a volume file and not DICOM slices."""
    return bool(files) and Path(files[0]).name.endswith((".nii", ".nii.gz", *ITK_SUFFIXES))


def volume_file_grid(path: Path) -> Grid:
    """Reads the header of a volume file and checks what can be checked by it.

    Raises:
        InputDataError: as :func:`petct_ext.dicom.volumes.nifti.nifti_grid` and
            :func:`petct_ext.dicom.volumes.itk_images.itk_grid`, and for other files.
    """
    if path.name.endswith(ITK_SUFFIXES):
        return itk_grid(path)
    if not is_volume_file([path]):
        raise InputDataError(
            f"{path.name} is none of .nii, .nii.gz, {', '.join(ITK_SUFFIXES)}; convert it."
        )
    return nifti_grid(path, of_person=True)


def volume_files(path: Path) -> list[Path]:
    """Returns the files of a volume: itself and, where they are apart, its voxels."""
    return itk_image_files(path) if path.name.endswith(ITK_SUFFIXES) else [path]


def read_pair_ct(files: Sequence[Path]) -> SeriesVolume:
    """Reads the CT of a pair in HU; counterpart of ``read_series``.

    Raises:
        InputDataError: as :func:`petct_ext.dicom.volumes.nifti.read_nifti` and
            :func:`petct_ext.dicom.volumes.itk_images.read_itk_image`.
    """
    return _read(files[0], VolumeUnits.HU)


def read_pair_pet(files: Sequence[Path]) -> tuple[SeriesVolume, dict[str, Any]]:
    """Reads the PET of a pair in its own units.

    Args:
        files: the volume, where it is apart the file with its voxels, and its facts.

    Returns:
        The volume, in the units that the facts name under ``pet_units``, and the facts.

    Raises:
        InputDataError: as :func:`read_pair_ct`, and if the facts are missing.
    """
    try:
        volume, *_, facts_file = files
        facts: dict[str, Any] = read_json(facts_file)
        units = VolumeUnits(facts["pet_units"])
    except (ValueError, KeyError, TypeError):  # InputDataError is a ValueError
        raise InputDataError(
            f"what the manifest says of {files[0].name} is missing or damaged; run "
            "scripts/index_exams.py again."
        ) from None
    return _read(volume, units), facts


def _read(path: Path, units: VolumeUnits) -> SeriesVolume:
    is_itk = Path(path).name.endswith(ITK_SUFFIXES)
    return read_itk_image(path, units) if is_itk else read_nifti(path, units)


def manifest_suv_factors(
    facts: Mapping[str, Any], *, num_slices: int, overrides: SuvOverrides = _NO_OVERRIDES
) -> SuvFactors:
    """Returns the factors that turn a PET into SUVbw (g/mL), by what its manifest says.

    ``pet_units`` SUVbw: 1. BQML: 1000 * weight / dose at the time to which the values are
    corrected, with the plausibility checks of DICOM headers.

    Args:
        facts: ``pet_units`` and, for BQML, the columns of :data:`NEEDED_FOR_SUV`.
        num_slices: length of ``factors``.
        overrides: values to use instead.

    Returns:
        Factors, all equal, audit and warnings.

    Raises:
        InputDataError: if a value is missing or implausible; names the column and its value.
    """
    if facts["pet_units"] == VolumeUnits.SUVBW:
        line = {"step": "values are SUVbw, says the manifest", "value": 1.0, "unit": "g/mL"}
        return SuvFactors(np.ones(num_slices), [line], [])
    values = {name: facts.get(name) for name in NEEDED_FOR_SUV}
    given = overrides.given()
    if "injection_time" in given:
        raise InputDataError(
            "injection_time cannot be overridden for a pair of volume files; correct "
            "uptake_time_s in the manifest and run scripts/index_exams.py again."
        )
    values |= given
    if missing := [name for name, value in values.items() if value is None]:
        raise InputDataError(
            f"the PET is in BQML and the manifest gives no {', '.join(missing)}; SUV cannot be "
            "computed. Fill in the column(s)."
        )
    warnings, checked = _checked(values)
    factor = suv_bw_scale(**checked)
    lines = [
        {"override" if name in given else "manifest": name, "value": value}
        for name, value in values.items()
    ]
    lines.append({"step": "SUVbw factor", "value": factor, "unit": "g/mL per Bq/mL"})
    return SuvFactors(np.full(num_slices, factor), lines, warnings)


def manifest_checks(
    facts: Mapping[str, Any], *, overrides: SuvOverrides = _NO_OVERRIDES, decide_suv: bool
) -> list[Check]:
    """Checks weight, height and dose of a manifest against each other.

    Args:
        facts: ``weight_kg``, ``height_m``, ``injected_dose_bq`` and ``half_life_s``, each None or
            missing if unknown.
        overrides: values to use instead.
        decide_suv: whether SUV is computed from them.
    """
    values = dict(facts) | overrides.given()
    half_life = values.get("half_life_s")
    is_f18 = half_life is not None and abs(half_life / _F18_HALF_LIFE_S - 1) < 0.01
    return patient_checks(
        weight_kg=values.get("weight_kg"),
        height_m=values.get("height_m"),
        dose_bq=values.get("injected_dose_bq") if is_f18 else None,
        decide_suv=decide_suv,
    )


def _checked(values: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Applies to the manifest's values the rules for those of a header."""
    item, patient, audit = pydicom.Dataset(), pydicom.Dataset(), SuvAudit()
    patient.PatientWeight = values["weight_kg"]
    item.RadionuclideTotalDose = values["injected_dose_bq"]
    item.RadionuclideHalfLife = values["half_life_s"]
    uptake_s = float(values["uptake_time_s"])
    try:
        nuclide = find_nuclide([item], audit)
        checked = {
            "patient_weight_kg": body_weight_kg([patient], audit),
            "injected_dose_bq": injected_dose_bq([item], nuclide, audit),
            "half_life_s": half_life_s([item], nuclide, audit),
            "uptake_time_s": uptake_s,
            "decay_correction": values["decay_correction"],
        }
    except InputDataError as error:
        raise InputDataError(f"manifest of pairs: {error}") from None
    shortest, longest = nuclide.uptake_s
    if not shortest <= uptake_s <= longest:
        raise InputDataError(
            f"manifest of pairs: uptake_time_s is {uptake_s:g} s, outside {shortest:g} to "
            f"{longest:g} s for {nuclide.name}; it is the time from injection to scan in seconds."
        )
    return audit.warnings, checked
