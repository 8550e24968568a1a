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

_SLICE_TAGS = ("ImagePositionPatient",)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What indexing needs of one DICOM file.

    Attributes:
        path: the file.
        values: elements by keyword; absent ones are missing. Text is str, multi-valued elements
            are tuples, ``RadiopharmaceuticalInformationSequence`` is replaced by the keys
            ``Tracer`` and ``InjectedDoseBq``. All but the position are those of one slice of the
            series.
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
    # Slices of a series differ in little that matters here, and converting elements takes most of
    # the time: what belongs to the series is read once per chunk and shared.
    of_series: dict[str, dict[str, Any]] = {}
    headers = (_read_one(path, of_series) for path in files)
    return [header for header in headers if header is not None]


def _read_one(path: Path, of_series: dict[str, dict[str, Any]]) -> FileHeader | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote values of the header
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            series = str(dataset.SeriesInstanceUID)
            if not series or not dataset.StudyInstanceUID:
                return None
            if series not in of_series:
                of_series[series] = _series_values(dataset)
            own = {key: _plain(dataset[key].value) for key in _SLICE_TAGS if key in dataset}
    except Exception:
        return None
    return FileHeader(path, of_series[series] | own)


def _series_values(dataset: pydicom.Dataset) -> dict[str, Any]:
    values = {
        key: _plain(dataset[key].value)
        for key in _TAGS
        if key in dataset and key != "RadiopharmaceuticalInformationSequence"
    }
    return values | _tracer(dataset)


def _plain(value: Any) -> Any:
    if isinstance(value, pydicom.multival.MultiValue):
        return tuple(float(v) if isinstance(v, float | int) else str(v) for v in value)
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
