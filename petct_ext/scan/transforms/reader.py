"""A bundle may start from DICOM: a reader for MONAI's ``LoadImaged`` that cannot guess.

MONAI's own DICOM readers take the first of several series, close the gap of a missing slice and
know no SUV. This one goes the way of ``scripts/prepare_exams.py``: same checks, same numbers.

In a bundle's config::

    {
        "_target_": "LoadImaged",
        "keys": "pet",
        "reader": "petct_ext.scan.transforms.reader.DicomExamReader",
        "series": "PT",
        "ensure_channel_first": true,
        "prune_meta_pattern": "filename_or_obj"
    }

``prune_meta_pattern`` drops the path, which MONAI adds to the meta data and which may name a
patient. Shapes: X, Y, Z voxels in the order column, row, slice of the series.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from petct_ext.arrays import FloatArray
from petct_ext.dicom.files.headers import NOT_DICOM, FileHeader, HeaderReader, UnreadFile
from petct_ext.dicom.files.walk import walk_files
from petct_ext.dicom.series.exam_choice import choose_exams
from petct_ext.dicom.series.groups import Series, Study, group_studies
from petct_ext.dicom.series.reader import SeriesVolume, read_series
from petct_ext.dicom.suv.factors import suv_bw_factors
from petct_ext.errors import InputDataError, did_you_mean

__all__ = ["STORED", "UNITS", "DicomExamReader"]

_LOGGER = logging.getLogger(__name__)

UNITS: Final = "units"
"""Key of the meta data that says what the values are: ``SUVbw``, ``HU`` or ``stored``."""
STORED: Final = "stored"
"""Values as stored in the files, without slope, intercept and SUV."""

_MODALITIES = {"PT": "SUVbw", "CT": "HU"}
_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


class DicomExamReader(ImageReader):
    """Reads one PET or CT series: PET in SUVbw (g/mL), CT in HU, on its own lattice.

    Takes a folder, searched with its subfolders, or a list of files. Without ``series`` they must
    be of one series. The affine maps voxel centers to RAS+ mm; axes are not turned, so that a map
    can be put back (``Orientationd`` or
    :class:`~petct_ext.scan.transforms.spatial.CommonGridd` turn them). Meta data hold geometry and
    ``units``, nothing of the patient.

    Args:
        series: ``"PT"`` or ``"CT"`` takes the PET or the CT that indexing would choose
            (:func:`~petct_ext.dicom.series.exam_choice.choose_exams`) from the folder of one study.
        min_slices: series with fewer slices are not chosen; only used with ``series``.
        stored_values: give values as stored, as the 2021 paper's authors used them; see
            :mod:`petct_ext.scan.transforms.paper`.

    Raises:
        InputDataError: if ``series`` is no modality or there is an option that is not known.
    """

    def __init__(
        self,
        *,
        series: str | None = None,
        min_slices: int = 16,
        stored_values: bool = False,
        **unknown: Any,
    ) -> None:
        if unknown:  # a TypeError would make MONAI drop all options, with only a warning
            name = next(iter(unknown))
            hint = did_you_mean(name, ("series", "min_slices", "stored_values"))
            raise InputDataError(f"DicomExamReader has no option {name!r}.{hint}")
        if series not in (None, *_MODALITIES):
            raise InputDataError(f"series is {series!r}; it must be 'PT', 'CT' or left out.")
        self.series = series
        self.min_slices = min_slices
        self.stored_values = stored_values

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Returns whether all paths may be DICOM: folders, no suffix or one of DICOM's."""
        paths = [Path(p) for p in ensure_tuple(filename)]
        return all(p.is_dir() or p.suffix.lower() in ("", *_DICOM_SUFFIXES) for p in paths)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> tuple[Path, ...]:
        """Returns the paths; the files are read by :meth:`get_data`.

        If reading failed here, ``LoadImage`` would go on to MONAI's own readers, which make
        something of what this one refuses.
        """
        return tuple(Path(path) for path in ensure_tuple(data))

    def get_data(self, img: Sequence[Path]) -> tuple[FloatArray, dict[str, Any]]:
        """Reads the series.

        Args:
            img: what :meth:`read` returned.

        Returns:
            Array (X, Y, Z), float32, and its meta data.

        Raises:
            InputDataError: if a file is missing or damaged, there are several series, or as
                :func:`~petct_ext.dicom.series.reader.read_series` and
                :func:`~petct_ext.dicom.suv.factors.suv_bw_factors`. Messages name files without
                their folders.
        """
        root, headers = _read_headers(img)
        chosen = self._choose(group_studies(headers))
        volume = read_series([root / file.path for file in chosen.files])
        modality = str(volume.datasets[0].get("Modality") or "missing")
        if modality not in _MODALITIES:
            raise InputDataError(f"the series has modality {modality}; PT or CT is needed.")
        for warning in volume.warnings:
            _LOGGER.warning("%s: %s", modality, warning)
        array, units = self._values(volume, modality)
        return array, {
            MetaKeys.AFFINE: volume.affine,
            MetaKeys.ORIGINAL_AFFINE: volume.affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.array(array.shape),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),  # MONAI's word for none
            UNITS: units,
        }

    def _choose(self, studies: list[Study]) -> Series:
        if self.series is not None:
            return self._choose_from_study(studies)
        # Objects without pixels, such as contours and reports, may lie beside the slices.
        found = [s for study in studies for s in study.series if s.first.text("Rows")]
        if len(found) != 1:
            kinds = Counter(s.first.text("Modality") or "unknown" for s in found)
            raise InputDataError(
                f"the files hold {len(found)} series ({_counted(kinds)}) where one is needed; list "
                "the files of one, or set the reader's option series to 'PT' or 'CT'."
            )
        return found[0]

    def _choose_from_study(self, studies: list[Study]) -> Series:
        choices = choose_exams(studies, min_slices=self.min_slices)
        if len(choices) != 1:
            raise InputDataError(
                f"the files hold {len(choices)} studies with a PET where one is needed; give the "
                "folder of one study."
            )
        (choice,) = choices
        chosen = choice.pet if self.series == "PT" else choice.ct
        if choice.problem or chosen is None:
            raise InputDataError(f"the study {choice.problem}; no pair can be chosen from it.")
        for note in choice.notes:
            _LOGGER.warning("%s", note)
        return chosen

    def _values(self, volume: SeriesVolume, modality: str) -> tuple[FloatArray, str]:
        if self.stored_values:
            return _stored(volume), STORED
        if modality == "CT":
            return volume.array, _MODALITIES[modality]
        suv = suv_bw_factors(volume.datasets)
        for warning in suv.warnings:
            _LOGGER.warning("PET: %s", warning)
        return volume.array * suv.factors.astype(np.float32), _MODALITIES[modality]


def _read_headers(paths: Sequence[Path]) -> tuple[Path, list[FileHeader]]:
    """Returns the headers of all DICOM files; their paths are relative to the root returned."""
    if len(paths) == 1 and paths[0].is_dir():
        root = paths[0]
        walk = walk_files(root)
        names = [stamp.path for stamp in walk.files]
        for path, reason in walk.unread.items():
            raise InputDataError(f"{Path(path).name} cannot be read ({reason}).")
    else:
        root, names = Path(), [str(path) for path in paths]
    reader = HeaderReader(root)
    headers = []
    for name in names:
        header = reader.read(name)
        if isinstance(header, FileHeader):
            headers.append(header)
        elif not (root / name).exists():
            raise InputDataError(f"{Path(name).name} does not exist; check the path.")
        elif not _is_beside(header, is_listed=root == Path()):
            raise InputDataError(
                f"{Path(name).name} gives no header ({header.reason}); it may be a lost slice. "
                "Export the series again or take the file away."
            )
    if not headers:
        raise InputDataError("there is no DICOM file; check the path.")
    return root, headers


def _is_beside(file: UnreadFile, *, is_listed: bool) -> bool:
    """Tells a note or thumbnail that lies beside the slices from a slice that is lost."""
    is_other = file.reason == NOT_DICOM and Path(file.path).suffix.lower() not in _DICOM_SUFFIXES
    return not is_listed and (is_other or file.reason.startswith("DICOMDIR"))


def _stored(volume: SeriesVolume) -> FloatArray:
    """Takes slope and intercept of each slice off again; stored values are whole numbers."""
    slopes = np.array([float(d.get("RescaleSlope") or 1.0) for d in volume.datasets])
    intercepts = np.array([float(d.get("RescaleIntercept") or 0.0) for d in volume.datasets])
    stored: FloatArray = volume.array - intercepts.astype(np.float32)
    stored /= slopes.astype(np.float32)
    return np.rint(stored, out=stored)


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
