"""Volumes of all indexed exams, in parallel; one bad exam never stops the others."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from petct_ext.cohort.series_files import read_series_files
from petct_ext.cohort.workers import Cluster, run_in_processes, run_on_cluster
from petct_ext.dicom.checking.registration import Registration
from petct_ext.dicom.series.exam_choice import ANOTHER_FRAME, ASSUMED_REGISTERED
from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.volumes.conversion import convert_exam
from petct_ext.dicom.volumes.exam_reading import GridChoice, Preparation
from petct_ext.dicom.volumes.exam_record import find_prepared, source_fingerprint
from petct_ext.dicom.volumes.pet_suv import SuvMode
from petct_ext.errors import InputDataError, OutputError, did_you_mean
from petct_ext.files import make_folder
from petct_ext.tables.schemas import (
    ACCEPTED,
    EXAMS,
    PREPARED,
    SUV_OVERRIDES,
    read_table,
    write_table,
)

__all__ = ["prepare_exams", "read_accepted", "read_suv_overrides"]

_LOGGER = logging.getLogger(__name__)
_REGISTRATIONS: dict[str, Registration] = {
    ANOTHER_FRAME: "unknown",
    ASSUMED_REGISTERED: "assumed",
}


class _Job(NamedTuple):
    exam_id: str
    pet_files: list[Path]
    ct_files: list[Path]
    how: Preparation


def prepare_exams(
    work: Path,
    *,
    grid: GridChoice,
    suv: SuvMode = "required",
    overrides: Mapping[str, SuvOverrides] | None = None,
    accepted: Mapping[str, Sequence[str]] | None = None,
    verify: bool = False,
    workers: int = 0,
    cluster: Cluster | None = None,
) -> pd.DataFrame:
    """Writes ``volumes/<exam_id>/pet.nii`` and ``ct.nii`` and the table ``prepared.csv``.

    Exams that were finished earlier in the same way, from the same files, are kept as they are, so
    an interrupted run goes on where it stopped.

    Args:
        work: the work folder; ``exams.csv`` and ``private/series_files.json`` are there.
        grid: how to sample.
        suv: ``optional`` keeps exams whose SUV cannot be computed, in the units of their PET.
        overrides: values to use instead of the header's, by exam.
        accepted: names of checks whose hard findings a person has accepted, by exam.
        verify: also compare the checksums of finished volumes, which reads them in full.
        workers: processes to use (of each job, on a cluster); 0 is this process alone.
        cluster: where to run if not on this machine.

    Returns:
        The table of prepared exams, schema PREPARED, with the reason for every exam that failed.

    Raises:
        InputDataError: if the index is missing, an override is of an unknown exam, or no exam at
            all could be prepared.
        OutputError: if ``work`` cannot be written to or the disk is full.
    """
    exams = read_table(work / "exams.csv", EXAMS)
    jobs = _jobs(work, exams, Preparation(grid, suv), overrides or {}, accepted or {})
    volumes = make_folder(work / "volumes").resolve()
    function = partial(_prepare_one, volumes=volumes, verify=verify)
    lost = partial(_lost, volumes=volumes)
    try:
        if cluster is None:
            found = run_in_processes(function, jobs, workers=workers, lost=lost)
        else:
            found = run_on_cluster(function, jobs, cluster=cluster, workers=workers, lost=lost)
        rows = list(_bar(found, len(jobs)))
    except OutputError as error:
        raise OutputError(
            f"{error} Exams that are finished are kept: make room or mend the folder, then run the "
            "same command again."
        ) from None
    rows += [
        {"exam_id": row["exam_id"], "status": "quarantined", "reason": row["reason"]}
        for row in exams[exams.status != "ok"].to_dict("records")
    ]
    table = pd.DataFrame(rows, columns=list(PREPARED.columns)).astype({"num_slices": "Int64"})
    table = table.sort_values("exam_id", ignore_index=True)
    write_table(table, work / "prepared.csv", PREPARED)
    if (table.status != "ok").all():
        raise InputDataError(
            f"none of {len(table)} exams could be prepared; the first one: {table.reason.iloc[0]}"
        )
    return table


def read_suv_overrides(path: Path) -> dict[str, SuvOverrides]:
    """Reads values to use instead of those of the headers.

    Args:
        path: CSV table with ``exam_id`` and any of ``weight_kg``, ``height_m``,
            ``injected_dose_bq``, ``half_life_s``, ``injection_time`` (``HH:MM:SS``) and
            ``suv_bw_factor`` (g/mL per unit of the rescaled PET); an empty cell keeps the header's.

    Returns:
        The overrides by exam.

    Raises:
        InputDataError: if the table is broken, has another column, or holds an impossible value.
    """
    table = read_table(path, SUV_OVERRIDES)
    names = [name for name in SUV_OVERRIDES.columns if name != "exam_id"]
    for name in table.columns.difference(["exam_id", *names]):
        raise InputDataError(
            f"{path}: column {name!r} is none of {', '.join(names)}.{did_you_mean(name, names)}"
        )
    found = {}
    for row in table.to_dict("records"):
        given = {n: row[n] for n in names if row[n] != "" and not pd.isna(row[n])}
        try:
            found[str(row["exam_id"])] = SuvOverrides(**given)
        except InputDataError as error:
            raise InputDataError(f"{path}, exam {row['exam_id']}: {error}") from None
    return found


def read_accepted(path: Path) -> dict[str, list[str]]:
    """Reads which implausible findings a person has accepted, ``name=value``, by exam.

    Args:
        path: CSV table of the schema ACCEPTED.

    Raises:
        InputDataError: if the table is broken.
    """
    found: dict[str, list[str]] = {}
    for row in read_table(path, ACCEPTED).to_dict("records"):
        value = row.get("value", "")
        is_given = value != "" and not pd.isna(value)
        one = f"{row['check']}={float(value):.6g}" if is_given else str(row["check"])
        found.setdefault(str(row["exam_id"]), []).append(one)
    return found


def _jobs(
    work: Path,
    exams: pd.DataFrame,
    how: Preparation,
    overrides: Mapping[str, SuvOverrides],
    accepted: Mapping[str, Sequence[str]],
) -> list[_Job]:
    files = read_series_files(work)
    for what, given in (("SUV overrides", overrides), ("accepted findings", accepted)):
        if unknown := sorted(set(given) - set(exams.exam_id)):
            raise InputDataError(
                f"{what} are given for {len(unknown)} exam(s) that are not in exams.csv, e.g. "
                f"{unknown[0]!r}.{did_you_mean(unknown[0], exams.exam_id)}"
            )
    try:
        return [
            _Job(
                row["exam_id"],
                files[row["pet_series"]],
                files[row["ct_series"]],
                replace(
                    how,
                    overrides=overrides.get(row["exam_id"], how.overrides),
                    accepted=tuple(accepted.get(row["exam_id"], ())),
                    registration=_REGISTRATIONS.get(row.get("ct_match", ""), "stated"),
                ),
            )
            for row in exams[exams.status == "ok"].to_dict("records")
        ]
    except KeyError:
        raise InputDataError(
            f"{work / 'private' / 'series_files.json'} does not fit exams.csv; run "
            "scripts/index_exams.py again."
        ) from None


def _bar(rows: Iterable[dict[str, Any]], total: int) -> Iterable[dict[str, Any]]:
    bar: Iterable[dict[str, Any]] = tqdm(
        rows, total=total, desc="preparing exams", unit="exam", disable=None
    )
    return bar


def _prepare_one(job: _Job, *, volumes: Path, verify: bool) -> dict[str, Any]:
    folder = volumes / job.exam_id
    try:
        record = _finished(job, folder, verify=verify) or convert_exam(
            job.pet_files, job.ct_files, folder, how=job.how
        )
    except OutputError:
        raise  # a full disk is not the exam's fault
    except Exception as error:  # whatever one exam holds, the others go on
        return _failed(job, _in_words(error))
    return _ready(job, record)


def _finished(job: _Job, folder: Path, *, verify: bool) -> dict[str, Any] | None:
    """Returns the record of an exam that is ready; says why one must be made again."""
    try:
        source = source_fingerprint([*job.pet_files, *job.ct_files])
    except InputDataError:
        source = None  # archived meanwhile: the volumes are as good as before
    record, problem = find_prepared(
        folder, parameters=job.how.parameters(), source=source, verify=verify
    )
    if record and record["no_suv_because"] and job.how.suv == "required":
        return None
    if problem:
        _LOGGER.info("exam %s is made again: %s", job.exam_id, problem)
    return record


def _ready(job: _Job, record: Mapping[str, Any]) -> dict[str, Any]:
    problem = record["no_suv_because"]
    return {
        "exam_id": job.exam_id,
        "status": "ok",
        "reason": f"no SUV: {problem}" if problem else "",
        "pet": f"volumes/{job.exam_id}/pet.nii",
        "ct": f"volumes/{job.exam_id}/ct.nii",
        "num_slices": record["num_slices"],
        "suv_bw_factor": record["suv_bw_factor"],
        "pet_units": record["pet_units"],
        "warnings": "; ".join(record["warnings"]),
    }


def _failed(job: _Job, reason: str) -> dict[str, Any]:
    return {"exam_id": job.exam_id, "status": "quarantined", "reason": reason}


def _lost(job: _Job, reason: str, *, volumes: Path) -> dict[str, Any]:
    """Looks on the disk before an exam is given up: its job may have died after it."""
    record = _finished(job, volumes / job.exam_id, verify=False)
    return _ready(job, record) if record else _failed(job, reason)


def _in_words(error: Exception) -> str:
    if isinstance(error, InputDataError):
        return str(error)
    if isinstance(error, MemoryError):
        return "memory ran out; run the same command again with fewer --workers."
    if isinstance(error, OSError):
        name = Path(str(error.filename)).name if error.filename else "a file"
        return f"{name} cannot be read ({error.strerror or type(error).__name__})."
    frames = traceback.extract_tb(error.__traceback__)
    own = next((f for f in reversed(frames) if "petct_ext" in f.filename), frames[-1])
    where = f"{Path(own.filename).name}, line {own.lineno}"  # its text might quote the header
    return f"it cannot be converted ({type(error).__name__} in {where}); please report this."
