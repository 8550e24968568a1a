"""Headers of DICOM files, read without pixels: what is needed to sort slices into series.

Names and birth dates are never read; identifiers stay in memory and in ``private/``.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pydicom
from tqdm import tqdm

from petct_ext.errors import InputDataError

__all__ = ["FileHeader", "find_files", "read_headers"]

_LOGGER = logging.getLogger(__name__)

_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientAge",
    "PatientSex",
    "PatientWeight",
    "PatientSize",
    "StudyDate",
    "SeriesDate",
    "StudyDescription",
    "SeriesDescription",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ImageType",
    "CorrectedImage",
    "Units",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RadiopharmaceuticalInformationSequence",
)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What indexing needs of one DICOM file.

    Attributes:
        path: the file.
        values: elements by keyword; absent ones are missing. Text is str, multi-valued elements
            are tuples, ``RadiopharmaceuticalInformationSequence`` is replaced by the keys
            ``Tracer`` and ``InjectedDoseBq``.
    """

    path: Path
    values: dict[str, Any]

    def text(self, keyword: str) -> str:
        """Returns an element as text, empty if absent; several values are joined by a backslash."""
        value = self.values.get(keyword, "")
        return "\\".join(map(str, value)) if isinstance(value, tuple) else str(value).strip()

    def number(self, keyword: str) -> float | None:
        """Returns an element as a number, None if it is absent or none."""
        try:
            return float(self.values[keyword])
        except (KeyError, TypeError, ValueError):
            return None

    def vector(self, keyword: str, length: int) -> tuple[float, ...] | None:
        """Returns a multi-valued element of exactly ``length`` numbers, else None."""
        value = self.values.get(keyword)
        return value if isinstance(value, tuple) and len(value) == length else None


def find_files(root: str | Path) -> list[Path]:
    """Returns all regular files below ``root`` in a stable order; hidden ones are left out.

    Raises:
        InputDataError: if ``root`` is no folder or holds no file.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputDataError(f"{root} is not a folder; it should hold the DICOM files.")
    files = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(root).parts)
    )
    if not files:
        raise InputDataError(f"{root} holds no file; put the DICOM files there.")
    return files


def read_headers(files: list[Path], *, workers: int = 1) -> Iterator[FileHeader]:
    """Reads the headers of many files, in order, skipping what is not DICOM.

    Args:
        files: the files.
        workers: processes to use.

    Yields:
        One header per file that is DICOM and names its study and series.
    """
    chunks = [files[i : i + 256] for i in range(0, len(files), 256)]
    bar = tqdm(total=len(files), desc="reading headers", unit="file", disable=None)
    if workers > 1 and len(chunks) > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from _counted(pool.map(_read_chunk, chunks), chunks, bar)
    else:
        yield from _counted(map(_read_chunk, chunks), chunks, bar)


def _counted(
    results: Iterable[list[FileHeader]], chunks: list[list[Path]], bar: Any
) -> Iterator[FileHeader]:
    unread = 0
    with bar:
        for chunk, result in zip(chunks, results, strict=True):
            bar.update(len(chunk))
            unread += len(chunk) - len(result)
            yield from chain(result)
    if unread:
        _LOGGER.info("%d file(s) are no DICOM images and were skipped", unread)


def _read_chunk(files: list[Path]) -> list[FileHeader]:
    return [header for header in map(_read_one, files) if header is not None]


def _read_one(path: Path) -> FileHeader | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote values of the header
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            values = {key: _plain(dataset[key].value) for key in _TAGS if key in dataset}
    except Exception:
        return None
    if not (values.get("StudyInstanceUID") and values.get("SeriesInstanceUID")):
        return None
    values |= _tracer(dataset)
    values.pop("RadiopharmaceuticalInformationSequence", None)
    return FileHeader(path, values)


def _plain(value: Any) -> Any:
    if isinstance(value, pydicom.multival.MultiValue):
        return tuple(float(v) if isinstance(v, float | int) else str(v) for v in value)
    if isinstance(value, pydicom.Sequence):
        return ()
    return float(value) if isinstance(value, float | int) else str(value)


def _tracer(dataset: pydicom.Dataset) -> dict[str, Any]:
    """Tracer and dose: Radiopharmaceutical (0018,0031) and Radionuclide Total Dose (0018,1074)."""
    items = dataset.get("RadiopharmaceuticalInformationSequence") or []
    if not items:
        return {}
    codes = items[0].get("RadiopharmaceuticalCodeSequence") or []
    name = items[0].get("Radiopharmaceutical") or (codes[0].get("CodeMeaning") if codes else "")
    found: dict[str, Any] = {"Tracer": str(name or "")}
    if items[0].get("RadionuclideTotalDose") is not None:
        found["InjectedDoseBq"] = float(items[0].RadionuclideTotalDose)
    return found
