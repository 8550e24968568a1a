"""Volumes of all indexed exams, in parallel; one bad exam never stops the others."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from petct_ext.data.schemas import EXAMS, PREPARED, read_table, write_table
from petct_ext.dicom.convert import GridChoice, convert_exam
from petct_ext.errors import InputDataError, OutputError
from petct_ext.files import make_folder, read_json

__all__ = ["prepare_exams"]

_LOGGER = logging.getLogger(__name__)


class _Job(NamedTuple):
    exam_id: str
    pet_files: list[Path]
    ct_files: list[Path]


def prepare_exams(work: Path, *, grid: GridChoice, workers: int = 1) -> pd.DataFrame:
    """Writes ``volumes/<exam_id>/pet.nii`` and ``ct.nii`` and the table ``prepared.csv``.

    Exams that were finished earlier on the same grid are kept as they are, so an interrupted run
    goes on where it stopped.

    Args:
        work: the work folder; ``exams.csv`` and ``private/series_files.json`` are there.
        grid: how to sample.
        workers: processes to use.

    Returns:
        The table of prepared exams, schema PREPARED, with the reason for every exam that failed.

    Raises:
        InputDataError: if the index is missing, or no exam at all could be prepared.
        OutputError: if ``work`` cannot be written to.
    """
    exams = read_table(work / "exams.csv", EXAMS)
    index = read_json(work / "private" / "series_files.json")
    volumes = make_folder(work / "volumes")
    try:
        jobs = [
            _Job(
                row["exam_id"],
                [Path(index["dicom"]) / f for f in index["files"][row["pet_series"]]],
                [Path(index["dicom"]) / f for f in index["files"][row["ct_series"]]],
            )
            for row in exams[exams.status == "ok"].to_dict("records")
        ]
    except (KeyError, TypeError):
        raise InputDataError(
            f"{work / 'private' / 'series_files.json'} does not fit exams.csv; run "
            "scripts/index_exams.py again."
        ) from None
    convert = partial(_prepare_one, volumes=volumes, grid=grid)
    bar = partial(tqdm, total=len(jobs), desc="preparing exams", unit="exam", disable=None)
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            rows = list(bar(pool.map(convert, jobs, chunksize=2)))
    else:
        rows = list(bar(map(convert, jobs)))
    rows += [
        {"exam_id": row["exam_id"], "status": "quarantined", "reason": row["reason"]}
        for row in exams[exams.status != "ok"].to_dict("records")
    ]
    table = pd.DataFrame(rows, columns=list(PREPARED.columns)).astype({"num_slices": "Int64"})
    write_table(table.sort_values("exam_id"), work / "prepared.csv", PREPARED)
    _report(table)
    return table


def _report(table: pd.DataFrame) -> None:
    bad = table[table.status != "ok"]
    for row in bad.to_dict("records"):
        _LOGGER.warning("exam %s quarantined: %s", row["exam_id"], row["reason"])
    if len(bad) == len(table):
        raise InputDataError(
            f"none of {len(table)} exams could be prepared; the first one: {bad.reason.iloc[0]}"
        )


def _prepare_one(job: _Job, *, volumes: Path, grid: GridChoice) -> dict[str, Any]:
    folder = volumes / job.exam_id
    try:
        record = _finished(folder, grid) or convert_exam(
            job.pet_files, job.ct_files, folder, grid=grid
        )
    except OutputError:
        raise  # a full disk is not the exam's fault
    except (InputDataError, ArithmeticError, LookupError, MemoryError, ValueError) as error:
        reason = str(error) if isinstance(error, InputDataError) else f"{type(error).__name__}"
        return {"exam_id": job.exam_id, "status": "quarantined", "reason": reason}
    return {
        "exam_id": job.exam_id,
        "status": "ok",
        "reason": "",
        "pet": f"volumes/{job.exam_id}/pet.nii",
        "ct": f"volumes/{job.exam_id}/ct.nii",
        "num_slices": record["num_slices"],
        "suv_bw_factor": record["suv_bw_factor"],
    }


def _finished(folder: Path, grid: GridChoice) -> dict[str, Any] | None:
    """Returns the record of an exam that was prepared earlier on the same grid."""
    if not (folder / "exam.json").is_file():
        return None
    record: dict[str, Any] = read_json(folder / "exam.json")
    same = record["grid"] == [grid.in_plane, grid.field_of_view_mm, grid.slice_mm]
    return record if same else None
