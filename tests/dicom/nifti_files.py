"""Small NIfTI files for tests, right or with one fault."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

AFFINE = np.array(
    [[-4.0, 0, 0, 60.0], [0, -4.0, 0, 50.0], [0, 0, 3.0, -30.0], [0, 0, 0, 1.0]], dtype=np.float64
)


def ct_values(shape: tuple[int, ...] = (9, 8, 7)) -> np.ndarray:
    """Air with a block of soft tissue, HU."""
    values = np.full(shape, -1000.0, np.float32)
    values[3:6, 3:6, 2:5] = 40.0
    return values


def pet_values(shape: tuple[int, ...] = (9, 8, 7)) -> np.ndarray:
    """Background with one hot voxel, SUVbw."""
    values = np.full(shape, 0.5, np.float32)
    values[4, 4, 3] = 6.0
    return values


def write(
    path: Path,
    values: np.ndarray,
    affine: np.ndarray = AFFINE,
    *,
    codes: tuple[int, int] = (1, 1),
    unit: str = "mm",
    qform: np.ndarray | None = None,
) -> Path:
    """Writes a file with a header exactly as asked for; ``codes``: of sform and qform."""
    image = nib.Nifti1Image(values, AFFINE)
    raw = image.to_bytes()
    header = image.header.copy()
    header.set_xyzt_units(unit)
    header.set_sform(affine)
    if qform is not None or codes[1]:
        header.set_qform(affine if qform is None else qform)
    header["sform_code"], header["qform_code"] = codes
    header["vox_offset"] = header.single_vox_offset
    raw = header.binaryblock + raw[len(header.binaryblock) :]  # nibabel would mend it
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
    return path
