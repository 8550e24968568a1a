"""The sections of a run's page about data, labels and pictures, each from the files of one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.files import read_json
from petct_ext.ontology import RegionOntology
from petct_ext.pages.inputs import not_written, read_free_table, read_if_there, read_picture
from petct_ext.pages.rendering import KeyFigure, PageSection, rounded
from petct_ext.tables.schemas import EXAMS, PREPARED, SERIES, SPLITS

__all__ = ["cohort_section", "label_section", "overlay_section"]


def cohort_section(work: Path) -> PageSection:
    """Counts of exams, series and volumes; who was quarantined and why; splits."""
    exams = read_if_there(work / "exams.csv", EXAMS)
    prepared = read_if_there(work / "prepared.csv", PREPARED)
    splits = read_if_there(work / "splits.csv", SPLITS)
    series = read_if_there(work / "series.csv", SERIES)
    missing = [
        (name, not_written(script))
        for name, found, script in (
            ("exams.csv", exams, "index_exams"),
            ("prepared.csv", prepared, "prepare_exams"),
            ("splits.csv", splits, "make_splits"),
        )
        if found is None
    ]
    figures = []
    if exams is not None:
        detail = f"of {exams['patient_id'].nunique()} patients"
        if prepared is not None:
            detail += f"; {(prepared['status'] == 'ok').sum()} prepared"
        figures.append(KeyFigure("exams", str(len(exams)), detail))
    data = {
        "exams": None if exams is None else _describe(exams),
        "num_series": None if series is None else len(series),
        "quarantined": _quarantined(exams, prepared),
        "has_quality": (work / "quality" / "index.html").is_file(),
        "splits": None if splits is None else _count(splits),
    }
    is_there = any(value is not None and value is not False for value in data.values())
    return PageSection(
        "cohort", "Cohort", data if is_there else None, tuple(figures), tuple(missing)
    )


def label_section(work: Path, ontology: RegionOntology) -> PageSection:
    """Prevalence of the weak labels and their agreement with hand labels."""
    prevalence = read_free_table(work / "label_prevalence.csv", ("region", "prevalence"))
    audit = read_free_table(work / "label_audit.csv", ("region",))
    paths = sorted((work / "report_labeler").glob("**/*metrics*.csv"))
    paths += sorted((work / "report_labeler").glob("**/*metrics*.json"))
    missing = []
    if prevalence is None:
        missing.append(("label_prevalence.csv", not_written("label_reports")))
    if audit is None:
        reason = "weak labels were not compared with hand labels; needs DATA/hand_labels.csv"
        missing.append(("label_audit.csv", reason))
    if not paths:
        missing.append(("report_labeler/metrics", "the report labeler wrote no metrics"))
    metrics = [(path.stem.replace("_", " "), _metrics(path)) for path in paths]
    status = read_free_table(work / "report_status.csv", ("exam_id", "status", "message"))
    data = {
        "unread": [] if status is None else _unread(status),
        "audit": None if audit is None else _audit(audit, ontology),
        "metrics": [(title, rows) for title, rows in metrics if not rows.empty],
        "prevalence": None if prevalence is None else _prevalence(prevalence),
    }
    figures = () if audit is None else _audit_figures(audit)
    if status is not None:
        figures = (_read_figure(status), *figures)
    title = "Labels from reports"
    return PageSection(
        "labels", title, data if any(data.values()) else None, figures, tuple(missing)
    )


def overlay_section(work: Path, ontology: RegionOntology) -> PageSection:
    """Pictures of exams with the evidence for their regions."""
    title, folder = "What spoke for each region", work / "overlays"
    rows = read_free_table(folder / "overlays.csv", ("exam_id", "file"))
    if rows is None:
        reason = not_written("draw_attention")
        return PageSection("overlays", title, missing=(("overlays/overlays.csv", reason),))
    pictures, missing = [], []
    for file, of_file in rows.groupby("file", sort=False):
        path = folder / str(file)
        if path.is_file():
            pictures.append(read_picture(path, _overlay_caption(of_file, ontology)))
        else:
            missing.append((f"overlays/{file}", "listed in overlays.csv, but there is no file"))
    return PageSection("overlays", title, {"pictures": pictures}, missing=tuple(missing))


def _describe(exams: pd.DataFrame) -> dict[str, Any]:
    by_patient = exams.drop_duplicates("patient_id")
    women, men = (int((by_patient["sex"] == sex).sum()) for sex in ("F", "M"))
    ages = by_patient["age_years"].dropna()
    return {
        "count": len(exams),
        "patients": len(by_patient),
        "women": women,
        "men": men,
        "ages": [f"{age:.0f}" for age in (ages.min(), ages.median(), ages.max())]
        if len(ages)
        else [],
    }


def _count(splits: pd.DataFrame) -> pd.DataFrame:
    counts = splits.groupby("split", sort=False).agg(
        exams=("exam_id", "nunique"), patients=("patient_id", "nunique")
    )
    order = [split for split in ("training", "validation", "test") if split in counts.index]
    return counts.loc[order].reset_index()


def _quarantined(exams: pd.DataFrame | None, prepared: pd.DataFrame | None) -> pd.DataFrame | None:
    """Exams that cannot be used; None if nothing is known about it."""
    rows = [
        {"exam": row["exam_id"], "step": step, "reason": row["reason"]}
        for step, found in (("index", exams), ("prepare", prepared))
        if found is not None
        for row in found[found["status"] == "quarantined"].to_dict("records")
    ]
    if not rows and exams is None:
        return None
    return pd.DataFrame(rows, columns=["exam", "step", "reason"]).drop_duplicates("exam")


def _overlay_caption(rows: pd.DataFrame, ontology: RegionOntology) -> str:
    if "caption" in rows.columns and rows["caption"].notna().any():
        captions = rows["caption"].dropna().astype(str).drop_duplicates()
        return f"Exam {rows['exam_id'].iloc[0]}. " + " ".join(captions)
    parts = [
        f"{ontology.in_words(str(row.get('region', '')))}: "
        f"probability {rounded(row.get('prob'), 2)}"
        for row in rows.to_dict("records")
    ]
    return f"Exam {rows['exam_id'].iloc[0]}. " + "; ".join(parts)


def _read_figure(status: pd.DataFrame) -> KeyFigure:
    num_read = int((status["status"] == "labeled").sum())
    lost = len(status) - num_read
    detail = f"of {len(status)} exams" + (f"; the labels of {lost} stay unknown" if lost else "")
    return KeyFigure("reports read", str(num_read), detail)


def _unread(status: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns how many reports were not read, by the reason; unknown is not normal."""
    lost = status[status["status"] != "labeled"]
    return [
        {
            "reports": len(rows),
            "status": str(state),
            "reason": str(rows["message"].iloc[0]),
            "for example": ", ".join(map(str, rows["exam_id"].head(3))),
        }
        for state, rows in lost.groupby("status", sort=True)
    ]


def _audit(audit: pd.DataFrame, ontology: RegionOntology) -> dict[str, pd.DataFrame]:
    is_pooled = audit["region"] == "main_regions"
    single = audit[~is_pooled]
    return {
        "pooled": audit[is_pooled].drop(columns="region"),
        "single": single.assign(region=[ontology.in_words(str(r)) for r in single["region"]]),
    }


def _audit_figures(audit: pd.DataFrame) -> tuple[KeyFigure, ...]:
    pooled = audit[audit["region"] == "main_regions"]
    if pooled.empty or "f1" not in pooled.columns:
        return ()
    best = pooled.sort_values("f1", ascending=False).iloc[0]
    labeler = f"{best['labeler']}, " if "labeler" in pooled.columns else ""
    detail = f"{labeler}weak against hand labels, main regions"
    return (KeyFigure("F1 of the weak labels", rounded(best["f1"], 2), detail),)


def _prevalence(prevalence: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Tables with what they are about."""
    names = prevalence["title"] if "title" in prevalence.columns else prevalence["region"]
    rows = prevalence.assign(region=names).drop(columns="title", errors="ignore")
    if "main" not in rows.columns:
        return [(f"{len(rows)} regions", rows)]
    main = rows[rows["main"] == 1].drop(columns="main").sort_values("prevalence", ascending=False)
    others = rows[rows["main"] != 1].drop(columns="main")
    tables = [(f"the {len(main)} outputs of the scan model", main)]
    return tables + ([(f"{len(others)} other regions", others)] if len(others) else [])


def _metrics(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        rows = read_free_table(path, ())
        return pd.DataFrame() if rows is None else rows
    document = read_json(path)
    items = document.items() if isinstance(document, dict) else enumerate(document)
    return pd.DataFrame([{"metric": str(key), "value": _in_words(v)} for key, v in items])


def _in_words(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return rounded(value)
    return value if isinstance(value, str) else json.dumps(value)[:200]
