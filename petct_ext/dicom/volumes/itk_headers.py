"""Headers of MetaImage and NRRD files: where the voxels lie, and what ITK would pass over.

Both are text. They are read here, without ITK, because ITK takes what is missing for identity, an
NRRD in another unit for mm and one without anatomical axes for LPS, and says nothing.

Sources: MetaIO documentation (``MetaImage`` tags); NRRD format, version 5, sections 4 to 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from petct_ext.arrays import Affine
from petct_ext.dicom.volumes.affine_checks import require_affine, require_three_axes
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.errors import InputDataError

__all__ = ["ITK_SUFFIXES", "ImageHeader", "read_image_header"]

ITK_SUFFIXES: Final = (".mha", ".mhd", ".nrrd", ".nhdr")
"""Files that are read through ITK."""

_LONGEST_HEADER_BYTES = 1 << 16
_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8"), 1),
    **dict.fromkeys(("uint8_t",), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16"), 2),
    **dict.fromkeys(("int16_t", "ushort", "unsigned short", "unsigned short int", "uint16"), 2),
    **dict.fromkeys(("uint16_t",), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int"), 4),
    **dict.fromkeys(("uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t", "uint64", "uint64_t"), 8),
    **dict.fromkeys(("ulonglong", "unsigned long long", "double"), 8),
}
_NRRD_RAS_SIGNS = {
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
}
_LPS_TO_RAS = (-1, -1, 1)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a header says.

    Attributes:
        grid: shape and RAS+ affine in mm.
        data: the file with the voxels; the header's own if they stand in it.
        start: first byte of the voxels in ``data``; None if the header has skips.
        size: bytes of the voxels once unpacked.
        packing: ``raw``, ``zlib`` (of MetaImage, without a checksum that ITK would look at) or
            what an NRRD says.
    """

    grid: Grid
    data: Path
    start: int | None
    size: int
    packing: str


def read_image_header(path: Path) -> ImageHeader:
    """Reads the header of a MetaImage or NRRD file, not its voxels.

    Args:
        path: a file of :data:`ITK_SUFFIXES`.

    Raises:
        InputDataError: if the file or the one with its voxels is missing, cut or unreadable, has
            not three axes, no anatomical orientation or place, lengths that are not mm, a singular
            or sheared affine, several values per voxel, or a scale that ITK would not apply.
            The message gives the file's name without its folder.
    """
    raw = _first_bytes(path)
    is_meta = path.suffix in (".mha", ".mhd")
    try:
        header = _meta_header(raw, path) if is_meta else _nrrd_header(raw, path)
    except InputDataError:
        raise
    except ValueError:  # a field that should be a number
        raise _no_header(path, "MetaImage" if is_meta else "NRRD") from None
    require_affine(header.grid.affine, path.name)
    try:
        found = header.data.stat().st_size
    except OSError:
        raise InputDataError(
            f"{path.name} keeps its voxels in {header.data.name}, which is not beside it; copy "
            "both."
        ) from None
    if header.packing == "raw" and header.start is not None and found < header.start + header.size:
        raise InputDataError(
            f"{header.data.name} is shorter than the header of {path.name} says ({found} of "
            f"{header.start + header.size} bytes); it is cut off. Copy or download it again."
        )
    return header


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_HEADER_BYTES)
    except FileNotFoundError:
        raise InputDataError(f"{path.name} does not exist; check its path.") from None
    except OSError as error:
        raise InputDataError(f"{path.name} cannot be read: {error.strerror or error}.") from None


def _meta_header(raw: bytes, path: Path) -> ImageHeader:
    fields: dict[str, str] = {}
    start = 0
    for line in raw.splitlines(keepends=True):
        start += len(line)
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals and line.strip():
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":  # always the last one
            break
    if "ElementDataFile" not in fields or "DimSize" not in fields:
        raise _no_header(path, "MetaImage")
    shape = require_three_axes([int(n) for n in _numbers(fields, "DimSize", path)], path.name)
    if int(fields.get("NDims", "3")) != 3:
        raise InputDataError(f"{path.name} has NDims {fields['NDims']}; 3 axes are needed.")
    _require(fields.get("ElementNumberOfChannels", "1") == "1", path, "several values per voxel")
    for name, neutral in (("Slope", 1.0), ("Offset", 0.0)):
        scale = float(fields.get(f"ElementToIntensityFunction{name}", neutral))
        _require(scale == neutral, path, "a scale (ElementToIntensityFunction), which ITK ignores")
    _require(fields.get("DistanceUnits", "mm") in ("mm", "?"), path, "lengths that are not mm")
    size = _META_BYTES.get(fields.get("ElementType", ""))
    _require(size is not None, path, f"ElementType {fields.get('ElementType')}, not one number")
    matrix = _first_of(fields, ("TransformMatrix", "Rotation", "Orientation"), 9, path)
    origin = _first_of(fields, ("Offset", "Position", "Origin"), 3, path)
    spacing = _first_of(fields, ("ElementSpacing",), 3, path)
    axes = matrix.reshape(3, 3).T * spacing  # MetaImage lists the direction of one axis after other
    data = fields["ElementDataFile"]
    is_local = data.upper() == "LOCAL"
    skip = int(fields.get("HeaderSize", "0"))
    return ImageHeader(
        Grid(shape, _ras_affine(axes, origin, _LPS_TO_RAS)),
        path if is_local else _beside(path, data),
        (start if is_local else 0) if skip == 0 else None,
        int(np.prod(shape)) * (size or 0),
        "zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw",
    )


def _nrrd_header(raw: bytes, path: Path) -> ImageHeader:
    text, start = _nrrd_text(raw, path)
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[key.strip().lower().replace("datafile", "data file")] = value.strip()
    if "sizes" not in fields:
        raise _no_header(path, "NRRD")
    shape = require_three_axes([int(n) for n in _numbers(fields, "sizes", path)], path.name)
    _require(len(fields["sizes"].split()) == 3, path, "more than three axes")
    space = fields.get("space", "").lower()
    if space not in _NRRD_RAS_SIGNS:
        raise InputDataError(
            f"{path.name} has no anatomical orientation (space is {space or 'missing'}); its left "
            "and right are unknown. Write it again with space left-posterior-superior."
        )
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    _require(all(u.lower() in ("mm", "") for u in units), path, "space units that are not mm")
    size = _NRRD_BYTES.get(fields.get("type", "").lower())
    _require(size is not None, path, f"type {fields.get('type')}, not one number")
    axes = _first_of(fields, ("space directions",), 9, path).reshape(3, 3).T
    origin = _first_of(fields, ("space origin",), 3, path)
    data = fields.get("data file")
    has_skip = any(fields.get(key, "0") != "0" for key in ("byte skip", "line skip"))
    return ImageHeader(
        Grid(shape, _ras_affine(axes, origin, _NRRD_RAS_SIGNS[space])),
        path if data is None else _beside(path, data),
        None if has_skip else (start if data is None else 0),
        int(np.prod(shape)) * (size or 0),
        fields.get("encoding", "raw").lower(),
    )


def _nrrd_text(raw: bytes, path: Path) -> tuple[str, int]:
    """Returns the header, which an empty line ends, and where the voxels begin."""
    if not raw.startswith(b"NRRD"):
        raise _no_header(path, "NRRD")
    end = re.search(rb"\r?\n\r?\n", raw)
    if end is None and path.suffix == ".nrrd":
        raise _no_header(path, "NRRD")
    text = raw[: end.start()] if end else raw
    return text.decode("latin-1"), end.end() if end else 0


def _first_of(fields: dict[str, str], names: tuple[str, ...], count: int, path: Path) -> np.ndarray:
    name = next((name for name in names if name in fields), None)
    if name is None:
        raise InputDataError(
            f"{path.name} has no {names[0]}; where its voxels lie is unknown. Write it again with "
            "spacing, direction and origin."
        )
    numbers = _numbers(fields, name, path)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputDataError(
            f"{path.name} has {name} {fields[name]!r}; {count} numbers are needed. Write it again."
        )
    return np.array(numbers)


def _numbers(fields: dict[str, str], name: str, path: Path) -> list[float]:
    try:
        return [float(word) for word in re.split(r"[\s,()]+", fields[name]) if word]
    except ValueError:
        raise InputDataError(
            f"{path.name} has {name} {fields[name]!r}, which are not numbers; write it again."
        ) from None


def _ras_affine(axes: np.ndarray, origin: np.ndarray, signs: tuple[int, int, int]) -> Affine:
    """Returns the affine of axes in columns (3, 3) and an origin (3,), turned to RAS+."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, origin
    affine[:3] *= np.array(signs)[:, None]
    return affine


def _beside(path: Path, name: str) -> Path:
    """Returns the file that a header names; only one beside it is taken."""
    if name.upper().startswith("LIST") or "%" in name or Path(name).name != name:
        raise InputDataError(
            f"{path.name} keeps its voxels in several files or another folder; write it again as "
            "one .mha or .nrrd file."
        )
    return path.with_name(name)


def _require(is_right: bool, path: Path, fault: str) -> None:
    if not is_right:
        raise InputDataError(f"{path.name} has {fault}; write it again as a plain volume in mm.")


def _no_header(path: Path, form: str) -> InputDataError:
    return InputDataError(f"{path.name} has no valid {form} header; convert the exam again.")
