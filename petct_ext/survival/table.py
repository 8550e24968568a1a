"""The survival table of a cohort, and the list from which the mortality model learns."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.files import write_json
from petct_ext.reports.rows import read_report_table
from petct_ext.reports.several import Several
from petct_ext.scan.data.datalist import usable_exams
from petct_ext.survival.outcomes import follow_up, last_exams, log_same_day, status_at
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import (
    EXAMS,
    IDENTIFIERS,
    OUTCOMES,
    PREPARED,
    SPLITS,
    SURVIVAL,
    read_table,
    write_table,
)

__all__ = [
    "CohortTables",
    "mortality_datalist",
    "outcome_task",
    "require_one_split",
    "survival_table",
    "write_survival",
]

_LOGGER = logging.getLogger(__name__)

_SECTIONS: Final = ("training", "validation", "test")


@dataclass(frozen=True, slots=True, eq=False)
class CohortTables:
    """The tables from which the survival table is made; see the schemas of the same names."""

    exams: pd.DataFrame
    prepared: pd.DataFrame
    splits: pd.DataFrame
    identifiers: pd.DataFrame
    outcomes: pd.DataFrame
    reports: pd.DataFrame

    @classmethod
    def read(
        cls, cohort: str | Path, work: str | Path, *, several: Several = "join"
    ) -> CohortTables:
        """Reads them from a cohort's folder and its work folder.

        Args:
            cohort: folder with ``outcomes.csv`` and ``reports.csv``.
            work: work folder of the run.
            several: which of several reports of a study gives indication and summary code: with
                ``join`` the newest one that has them.

        Raises:
            InputDataError: if one is missing or breaks its schema.
        """
        cohort, work = Path(cohort), Path(work)
        return cls(
            exams=read_table(work / "exams.csv", EXAMS),
            prepared=read_table(work / "prepared.csv", PREPARED),
            splits=read_table(work / "splits.csv", SPLITS),
            identifiers=read_table(work / "private" / "identifiers.csv", IDENTIFIERS),
            outcomes=read_table(cohort / "outcomes.csv", OUTCOMES),
            reports=read_report_table(cohort / "reports.csv", several=several),
        )


def outcome_task(horizon_days: int) -> str:
    """Returns the name of the task "dead within so many days".

    Example:
        >>> outcome_task(180)
        'dead_within_180_days'
    """
    return f"dead_within_{horizon_days}_days"


def survival_table(tables: CohortTables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Makes one row per patient, counted from the last prepared exam that has a split.

    Returns:
        The table in the form of ``SURVIVAL``, and the patients left out with the reason.

    Raises:
        InputDataError: if a patient is in two splits, or if nobody is left.
    """
    require_one_split(tables.splits)
    usable = usable_exams(tables.prepared)[["exam_id"]]
    exams = tables.exams.merge(usable, on="exam_id").merge(
        tables.splits[["exam_id", "split"]], on="exam_id"
    )
    if exams.empty:
        raise InputDataError(
            "no exam is prepared and has a split; exams.csv, prepared.csv and splits.csv belong "
            "to different runs or every exam is quarantined."
        )
    log_same_day(exams)
    last, left_out = follow_up(last_exams(exams), _by_pseudonym(tables))
    if last.empty:
        raise InputDataError(
            f"none of {len(left_out)} patients has a usable follow-up; the first: "
            f"{left_out['reason'].iloc[0]}"
        )
    for reason in left_out["reason"]:
        _LOGGER.warning("left out: %s", reason)
    last = last.merge(_report_columns(tables), on="exam_id", how="left")
    last[["indication", "summary_code"]] = last[["indication", "summary_code"]].fillna("")
    return last[list(SURVIVAL.columns)], left_out


def require_one_split(rows: pd.DataFrame) -> None:
    """Refuses exams of one patient in different splits.

    Args:
        rows: ``patient_id``, ``exam_id`` and ``split``.

    Raises:
        InputDataError: names the patient and an exam of each split.
    """
    num_splits = rows.groupby("patient_id")["split"].nunique()
    if not (num_splits > 1).any():
        return
    patient_id = num_splits.idxmax()
    first = rows[rows["patient_id"] == patient_id].drop_duplicates("split")
    where = ", ".join(f"{row.exam_id} in {row.split}" for row in first.itertuples())
    raise InputDataError(
        f"patient {patient_id} is in {num_splits.max()} splits "
        f"({int((num_splits > 1).sum())} such patients): exam {where}; make the splits by patient "
        "again."
    )


def mortality_datalist(
    table: pd.DataFrame,
    prepared: pd.DataFrame,
    *,
    horizons_days: Sequence[int],
    root: str | Path,
    folder: str | Path,
) -> dict[str, list[dict[str, Any]]]:
    """Makes the data list of the mortality model.

    Args:
        table: the survival table.
        prepared: the prepared exams; paths are relative to ``root``.
        horizons_days: a label is made for each horizon.
        root: folder of ``prepared.csv``.
        folder: folder in which the data list will lie; its paths are relative to this.

    Returns:
        Sections training, validation and test with ``exam_id``, ``patient_id``, ``pet``, ``ct``,
        ``time_days``, ``event`` and ``labels``: 1, 0, or None if censored before the horizon.
    """
    volumes = prepared.set_index("exam_id")
    labels = {
        outcome_task(days): status_at(table["time_days"], table["event"], horizon_days=days)
        for days in horizons_days
    }
    sections: dict[str, list[dict[str, Any]]] = {section: [] for section in _SECTIONS}
    for number, row in enumerate(table.to_dict("records")):
        paths = {
            key: Path(os.path.relpath(Path(root) / str(volumes.loc[row["exam_id"], key]), folder))
            for key in ("pet", "ct")
        }
        sections[row["split"]].append(
            {
                "exam_id": row["exam_id"],
                "patient_id": row["patient_id"],
                **{key: path.as_posix() for key, path in paths.items()},
                "time_days": int(row["time_days"]),
                "event": int(row["event"]),
                "labels": {task: _json_label(status[number]) for task, status in labels.items()},
            }
        )
    return sections


def write_survival(
    tables: CohortTables, work: str | Path, *, horizons_days: Sequence[int]
) -> Mapping[str, Path]:
    """Makes the survival table and the data list, logs who is left out, and writes both.

    Args:
        tables: the cohort.
        work: work folder; writes ``survival/left_out.csv``, ``mortality/datalist.json`` and, last,
            ``survival/survival_table.csv``.
        horizons_days: horizons of the labels.

    Returns:
        The three paths by name.

    Raises:
        InputDataError: as :func:`survival_table`.
        OutputError: if a file cannot be written.
    """
    work = Path(work)
    table, left_out = survival_table(tables)
    paths = {
        "left_out": work / "survival" / "left_out.csv",
        "datalist": work / "mortality" / "datalist.json",
        "survival_table": work / "survival" / "survival_table.csv",
    }
    datalist = mortality_datalist(
        table,
        tables.prepared,
        horizons_days=horizons_days,
        root=work,
        folder=paths["datalist"].parent,
    )
    for days in horizons_days:
        _log_status(table, days)
    write_csv(left_out, paths["left_out"])
    write_json(paths["datalist"], datalist)
    write_table(table, paths["survival_table"], SURVIVAL)
    return paths


def _log_status(table: pd.DataFrame, horizon_days: int) -> None:
    status = status_at(table["time_days"], table["event"], horizon_days=horizon_days)
    for section in _SECTIONS:
        of_section = status[(table["split"] == section).to_numpy()]
        _LOGGER.info(
            "%d days, %s: %d patients, %d dead, %d alive, %d censored before (no label)",
            horizon_days,
            section,
            len(of_section),
            int((of_section == 1).sum()),
            int((of_section == 0).sum()),
            int(np.isnan(of_section).sum()),
        )


def _json_label(status: float) -> int | None:
    return None if np.isnan(status) else int(status)


def _by_pseudonym(tables: CohortTables) -> pd.DataFrame:
    pseudonym = tables.identifiers.drop_duplicates("raw_patient_id").set_index("raw_patient_id")
    raw_ids = tables.outcomes["patient_id"]
    outcomes = tables.outcomes.assign(patient_id=raw_ids.map(pseudonym["patient_id"]))
    if "date_shift_days" in pseudonym:  # exams.csv has shifted dates: shift these by as much
        days = raw_ids.map(pseudonym["date_shift_days"].astype("float64")).fillna(0.0)
        for column in ("death_date", "last_contact_date"):
            outcomes[column] = _shifted(outcomes[column], days)
    unknown = int(outcomes["patient_id"].isna().sum())
    if unknown:
        _LOGGER.info("%d rows of outcomes.csv belong to patients without an exam here", unknown)
    outcomes = outcomes.dropna(subset=["patient_id"])
    if outcomes["patient_id"].duplicated().any():
        raise InputDataError(
            "outcomes.csv: two raw patient ids lead to one pseudonym; merge their rows."
        )
    return outcomes


def _shifted(dates: pd.Series, days: pd.Series) -> pd.Series:
    """Adds days to dates ``YYYY-MM-DD``; empty ones stay empty."""
    moved = pd.to_datetime(dates.where(dates != ""), format="%Y-%m-%d") + pd.to_timedelta(
        days, unit="D"
    )
    return moved.dt.strftime("%Y-%m-%d").fillna("")


def _report_columns(tables: CohortTables) -> pd.DataFrame:
    reports = tables.reports.merge(
        tables.identifiers[["study_instance_uid", "exam_id"]], on="study_instance_uid"
    )
    return reports[["exam_id", "indication", "summary_code"]].drop_duplicates("exam_id")
