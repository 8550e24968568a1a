"""PET/CT pairs that come as volume files, listed by a manifest, to the tables that an index writes.

Public challenges give ``SUV.nii.gz`` with ``CT.nii.gz`` or ``CTres.nii.gz``, or MetaImage or NRRD.
Nothing in such files says who, when and in which units, so a table says it: ``nifti_pairs.csv``,
one row per exam, whatever the format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from nibabel.affines import voxel_sizes

from petct_ext.cohort.index import ExamIndex, write_index
from petct_ext.dicom.files.identity import (
    Pseudonyms,
    identity_words,
    without_dates,
    without_identity,
)
from petct_ext.dicom.volumes.nifti_pairs import NEEDED_FOR_SUV, volume_file_grid, volume_files
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.dicom.volumes.value_ranges import VolumeUnits
from petct_ext.errors import InputDataError
from petct_ext.files import make_folder, read_json, write_json
from petct_ext.tables.schemas import Column, Kind, Schema, read_table

__all__ = ["NIFTI_PAIRS", "index_nifti_pairs"]

_MAYBE_TEXT = Column(required=False, filled=False)
_MAYBE_NUMBER = Column(Kind.NUMBER, required=False, filled=False)
_DESCRIPTIONS = ("study_description", "manufacturer", "model", "tracer")
_NUMBERS = ("age_years", "weight_kg", "height_m", "injected_dose_bq", "uptake_time_s")

NIFTI_PAIRS = Schema(
    "pairs of volume files",
    MappingProxyType(
        {
            "study_id": Column(),
            "patient_id": Column(),
            "exam_date": Column(Kind.DATE),
            "pet": Column(),
            "ct": Column(),
            "pet_units": Column(choices=(VolumeUnits.SUVBW, VolumeUnits.BQML)),
            "half_life_s": _MAYBE_NUMBER,
            "decay_correction": Column(required=False, filled=False, choices=("START", "ADMIN")),
            "sex": Column(required=False, filled=False, choices=("F", "M", "O")),
            **dict.fromkeys(_NUMBERS, _MAYBE_NUMBER),
            **dict.fromkeys(_DESCRIPTIONS, _MAYBE_TEXT),
        }
    ),
    key=("study_id",),
)
"""What a group brings: one row per exam. Paths are relative to the table; a CT is in HU.

``study_id`` takes the place of the Study Instance UID in other tables, such as reports. A PET in
``BQML`` needs ``weight_kg``, ``injected_dose_bq``, ``uptake_time_s`` (from injection to scan),
``half_life_s`` and ``decay_correction`` (START of the scan or ADMIN, the injection).
"""


@dataclass(frozen=True, slots=True)
class _Volume:
    """A file of the manifest: its grid, or why it cannot be used."""

    path: Path
    grid: Grid | None = None
    problem: str = ""


def index_nifti_pairs(
    manifest: Path, work: Path, *, salt: str, keep_ids: bool = False, shift_dates: bool = False
) -> pd.DataFrame:
    """Writes the tables of :func:`petct_ext.cohort.index.index_exams` for pairs of volume files.

    Only headers are read; values are checked when volumes are prepared. A pair whose files are
    missing, are no volume with an affine in mm, or stand in another row too, is kept with
    status ``quarantined`` and the reason.

    ``private/series_files.json`` lists for each series its file, that of its voxels where they
    are apart, and for a PET last one in ``private/nifti/`` with what the manifest says of it; see
    :mod:`petct_ext.dicom.volumes.nifti_pairs`. One work folder holds one source: an earlier index
    in it is replaced.

    Args:
        manifest: table of the schema NIFTI_PAIRS.
        work: the work folder.
        salt: secret of the project for pseudonyms and shifts.
        keep_ids: keep identifiers; see :class:`~petct_ext.dicom.files.identity.Pseudonyms`.
        shift_dates: shift the dates of each patient by up to a year.

    Returns:
        The table of exams, schema EXAMS.

    Raises:
        InputDataError: if the manifest breaks its contract, or no pair can be used.
        OutputError: if ``work`` cannot be written to.
    """
    pairs = read_table(manifest, NIFTI_PAIRS)
    names = Pseudonyms(salt, keep_ids=keep_ids, shift_dates=shift_dates)
    private = make_folder(work / "private")
    private.chmod(0o700)
    root = manifest.parent.resolve()
    rows = [{str(k): _given(v) for k, v in row.items()} for row in pairs.to_dict("records")]
    uses = Counter(_path(root, row[kind]) for row in rows for kind in ("pet", "ct"))
    index = ExamIndex(root)
    for row in rows:
        identifiers = _identifiers(row, names)
        volumes = {kind: _look(_path(root, row[kind]), uses) for kind in ("pet", "ct")}
        series = {kind: names.name("S", f"{row['study_id']}.{kind}") for kind in ("pet", "ct")}
        index.identifiers.append(identifiers)
        index.exams.append(_exam_row(row, identifiers, volumes, series))
        index.series += _series_rows(identifiers["exam_id"], volumes, series)
        facts = _write_facts(row, private / "nifti" / f"{series['pet']}.json")
        pet, ct = (volume_files(volumes[kind].path) for kind in ("pet", "ct"))
        index.files[series["pet"]] = [*map(str, pet), str(facts.resolve())]
        index.files[series["ct"]] = [*map(str, ct)]
    return write_index(index, work)


def _given(value: Any) -> Any:
    """Returns None for an empty cell."""
    return None if value == "" or pd.isna(value) else value


def _path(root: Path, cell: str) -> Path:
    return (root / cell).resolve()


def _look(path: Path, uses: Mapping[Path, int]) -> _Volume:
    if uses[path] > 1:
        return _Volume(path, problem=f"{path.name} is named {uses[path]} times in the manifest")
    try:
        return _Volume(path, volume_file_grid(path))
    except InputDataError as error:
        return _Volume(path, problem=str(error).rstrip("."))


def _identifiers(row: Mapping[str, Any], names: Pseudonyms) -> dict[str, Any]:
    return {
        "exam_id": names.name("E", row["study_id"]),
        "patient_id": names.name("P", row["patient_id"]),
        "study_instance_uid": row["study_id"],
        "raw_patient_id": row["patient_id"],
        "date_shift_days": names.shift_days(row["patient_id"]),
    }


def _exam_row(
    row: Mapping[str, Any],
    identifiers: Mapping[str, Any],
    volumes: Mapping[str, _Volume],
    series: Mapping[str, str],
) -> dict[str, Any]:
    problems = [f"{kind.upper()}: {v.problem}" for kind, v in volumes.items() if v.problem]
    shift = timedelta(days=identifiers["date_shift_days"] or 0)
    uptake_s = row["uptake_time_s"]
    return {
        "exam_id": identifiers["exam_id"],
        "patient_id": identifiers["patient_id"],
        "exam_date": (date.fromisoformat(row["exam_date"]) + shift).isoformat(),
        "status": "quarantined" if problems else "ok",
        "reason": "; ".join(problems),
        "pet_series": series["pet"],
        "ct_series": series["ct"],
        "sex": row["sex"],
        **{name: row[name] for name in _NUMBERS},
        **{name: _description(row[name], row, identifiers) for name in _DESCRIPTIONS},
        "uptake_min": None if uptake_s is None else round(uptake_s / 60, 1),
        "notes": "pair of volume files; its manifest says that PET and CT belong together",
    }


def _description(
    text: str | None, row: Mapping[str, Any], identifiers: Mapping[str, Any]
) -> str | None:
    if text is not None:
        codes = [row["patient_id"], row["study_id"]]
        text = without_identity(text, identity_words(codes, codes, ""))
    has_true_dates = identifiers["date_shift_days"] is None
    return text if text is None or has_true_dates else without_dates(text)


def _series_rows(
    exam_id: str, volumes: Mapping[str, _Volume], series: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "series_id": series[kind],
            "exam_id": exam_id,
            "modality": {"pet": "PT", "ct": "CT"}[kind],
            "description": _format(volume.path),
            "num_slices": volume.grid.shape[2] if volume.grid else 0,
            "extent_mm": _extent_mm(volume.grid) if volume.grid else None,
            "chosen": int(not volume.problem),
            "reason": f"left out: {volume.problem}" if volume.problem else "chosen: by manifest",
        }
        for kind, volume in volumes.items()
    ]


def _format(path: Path) -> str:
    """Returns the format in words, by the name of the file."""
    kinds = {".mha": "MetaImage", ".mhd": "MetaImage", ".nrrd": "NRRD", ".nhdr": "NRRD"}
    return kinds.get(path.suffix, "NIfTI")


def _extent_mm(grid: Grid) -> float:
    """Returns the distance of the outermost slices along the third axis."""
    return round(float(voxel_sizes(grid.affine)[2]) * (grid.shape[2] - 1), 1)


def _write_facts(row: Mapping[str, Any], path: Path) -> Path:
    """Writes what the manifest says of a PET, unless it says the same as before.

    An unchanged file keeps its time, by which preparation knows that nothing has changed.
    """
    facts = {name: row[name] for name in ("pet_units", "height_m", *NEEDED_FOR_SUV)}
    if not path.is_file() or read_json(path) != facts:
        write_json(path, facts)
    return path
