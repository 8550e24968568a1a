"""PET and CT volumes as MetaImage or NRRD, the form of challenges and of 3D Slicer, through ITK.

MONAI's ITKReader reads the voxels. ITK is imported only here and only when a volume is read: it is
some 1.4 GB on disk, and its first image costs seconds and some 300 MB of memory.
"""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from petct_ext.dicom.series.reader import SeriesVolume
from petct_ext.dicom.volumes.itk_headers import ImageHeader, read_image_header
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.dicom.volumes.value_ranges import VolumeUnits, require_units
from petct_ext.errors import InputDataError

__all__ = ["itk_grid", "itk_image_files", "read_itk_image"]

_CHUNK_BYTES = 1 << 22
_SAME_PLACE = 1e-3


def itk_grid(path: str | Path) -> Grid:
    """Reads the header of a MetaImage or NRRD file and checks what can be checked by it.

    Raises:
        InputDataError: if ITK is not installed, and as
            :func:`~petct_ext.dicom.volumes.itk_headers.read_image_header`.
    """
    path = Path(path)
    if find_spec("itk") is None:
        raise InputDataError(
            f"{path.name} is read by ITK, which is not installed: pip install 'petct_ext[itk]'."
        )
    return read_image_header(path).grid


def itk_image_files(path: Path) -> list[Path]:
    """Returns a volume's files: its header and, if apart, that of its voxels."""
    try:
        data = read_image_header(path).data
    except InputDataError:  # said by itk_grid
        return [path]
    return [path] if data == path else [path, data]


def read_itk_image(path: str | Path, units: VolumeUnits | str) -> SeriesVolume:
    """Reads a volume whose values are said to be in ``units``.

    Args:
        path: a ``.mha``, ``.mhd``, ``.nrrd`` or ``.nhdr`` file.
        units: what its values are; they are not converted.

    Returns:
        Array (X, Y, Z), float32, affine to RAS+ mm, and no datasets.

    Raises:
        InputDataError: as :func:`itk_grid`, and if the voxels are cut or damaged, ITK places them
            elsewhere than the header, or values are not in ``units``.
    """
    path = Path(path)
    itk_grid(path)
    header = read_image_header(path)
    if header.packing == "zlib":
        _require_whole(header)
    from monai.data import ITKReader

    reader = ITKReader()
    try:
        values, meta = reader.get_data(reader.read(path))
    except Exception:  # ITK raises RuntimeError with the whole path in it
        raise InputDataError(
            f"{path.name} cannot be read by ITK; it is cut off, damaged or packed in a way that "
            "ITK does not know. Write or download it again."
        ) from None
    affine = np.asarray(meta["affine"], dtype=np.float64)
    if values.shape != header.grid.shape or not np.allclose(
        affine, header.grid.affine, atol=_SAME_PLACE
    ):
        raise InputDataError(
            f"{path.name} lies elsewhere for ITK than its header says; write it again with ITK or "
            "3D Slicer."
        )
    array = np.array(values, dtype=np.float32, order="F")  # not a view of memory that ITK frees
    require_units(array, VolumeUnits(units), path.name)
    return SeriesVolume(array, header.grid.affine, [])


def _require_whole(header: ImageHeader) -> None:
    """Unpacks the voxels of a MetaImage once: ITK returns garbage where they are damaged."""
    unpacker, size = zlib.decompressobj(wbits=47), 0  # zlib or gzip, as ITK takes it
    try:
        with header.data.open("rb") as file:
            file.seek(header.start or 0)
            while not unpacker.eof and (packed := file.read(_CHUNK_BYTES)):
                size += len(unpacker.decompress(packed))
    except (zlib.error, OSError):
        size = -1
    if not unpacker.eof or size != header.size:
        raise InputDataError(
            f"{header.data.name} cannot be unpacked; it is cut off or damaged. Copy or download it "
            "again."
        )
