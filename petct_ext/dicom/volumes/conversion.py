"""One exam on disk to a PET volume in SUVbw and a CT volume in HU on one grid, as files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from petct_ext import __version__
from petct_ext.arrays import FloatArray
from petct_ext.dicom.volumes.exam_reading import Preparation, read_exam
from petct_ext.dicom.volumes.exam_record import RECORD, source_fingerprint
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.files import atomic_path, write_json

__all__ = ["convert_exam"]


def convert_exam(
    pet_files: Sequence[Path], ct_files: Sequence[Path], folder: Path, *, how: Preparation
) -> dict[str, Any]:
    """Writes ``pet.nii``, ``ct.nii`` and, last, ``exam.json`` for one exam.

    The NIfTI files are uncompressed 16-bit integers with a scale factor (SUV is resolved to 1/32767
    of its maximum), so that training can map them into memory. Headers carry no identity.

    Args:
        pet_files: slices of the PET series, or a volume file and what is said of it.
        ct_files: slices of the CT series, or a volume file.
        folder: where to write; an earlier ``exam.json`` is removed first, and a new one exists only
            if all is complete.
        how: grid, SUV and overrides.

    Returns:
        What ``exam.json`` holds: ``parameters``; ``source``, the fingerprint of the DICOM files;
        ``volumes`` with bytes and SHA-256 of each file; ``num_slices`` and ``spacing_mm``;
        ``pet_units``, and ``no_suv_because`` if these are not SUVbw; ``suv_bw_factor`` (the median,
        should slices differ) with its ``suv_audit``; ``largest_value`` of the PET; ``warnings``;
        ``checks``, see :class:`~petct_ext.dicom.checking.check.Check`; ``measurements``, see
        :func:`~petct_ext.dicom.checking.volume_checks.check_volumes`; ``blanked``, parts such as
        ``head``; and ``original_grids``, shape and RAS+ affine of both series.

    Raises:
        InputDataError: if the exam cannot be read, or its values are implausible.
        OutputError: if the folder cannot be written to, or the disk is full.
    """
    (folder / RECORD).unlink(missing_ok=True)
    source = source_fingerprint([*pet_files, *ct_files])
    exam = read_exam(pet_files, ct_files, how=how)
    steps = {
        "pet.nii": (exam.pet, float(exam.facts["largest_value"]) / 32767),
        "ct.nii": (exam.ct, 1.0),
    }
    volumes = {
        name: _write_volume(folder / name, array, exam.grid, step=step)
        for name, (array, step) in steps.items()
    }
    record = {
        "made_by": f"petct_ext {__version__}",
        "parameters": how.parameters(),
        "source": source,
        "volumes": volumes,
        **exam.facts,
    }
    write_json(folder / RECORD, record)
    return record


def _write_volume(path: Path, array: FloatArray, grid: Grid, *, step: float) -> dict[str, Any]:
    """Writes ``array`` in units of ``step``, slice by slice; returns size and checksum."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(array.shape)
    header.set_xyzt_units("mm")
    header.set_slope_inter(step, 0.0)
    affine = np.round(grid.affine, 5)
    header.set_sform(affine, code="aligned")
    header.set_qform(affine, code="unknown")
    header["vox_offset"] = header.single_vox_offset
    start = header.binaryblock.ljust(header.single_vox_offset, b"\0")
    digest, size = hashlib.sha256(start), len(start)
    with atomic_path(path) as partial, partial.open("wb") as file:
        file.write(start)
        for z in range(array.shape[2]):
            stored = _stored(array[:, :, z], step)
            digest.update(stored.data)
            file.write(stored.data)
            size += stored.nbytes
    return {"bytes": size, "sha256": digest.hexdigest()}


def _stored(plane: FloatArray, step: float) -> npt.NDArray[np.int16]:
    """Returns a plane (X, Y) as rows of X, the order in a NIfTI file."""
    scaled = plane.T / np.float32(step)
    return np.ascontiguousarray(np.rint(scaled, out=scaled).astype("<i2"))
