"""The sections of the page about data, labels and pictures, each from the files of one step."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import pandas as pd

from petct_ext.evaluation.html_elements import (
    KeyFigure,
    Section,
    folded,
    notice,
    number,
    paragraph,
    picture,
    table,
)
from petct_ext.evaluation.page_inputs import read_free_table, read_if_there
from petct_ext.files import read_json
from petct_ext.statistics.predictions import task_title
from petct_ext.tables.schemas import EXAMS, PREPARED, SERIES, SPLITS

__all__ = ["cohort_section", "label_section", "overlay_section"]


def cohort_section(work: Path) -> Section:
    """Counts of exams, series and volumes; who was quarantined and why; splits."""
    title = "Cohort"
    exams = read_if_there(work / "exams.csv", EXAMS)
    prepared = read_if_there(work / "prepared.csv", PREPARED)
    splits = read_if_there(work / "splits.csv", SPLITS)
    series = read_if_there(work / "series.csv", SERIES)
    missing = [
        (name, f"not written: {script} has not run or did not finish")
        for name, found, script in (
            ("exams.csv", exams, "scripts/index_exams.py"),
            ("prepared.csv", prepared, "scripts/prepare_exams.py"),
            ("splits.csv", splits, "scripts/make_splits.py"),
        )
        if found is None
    ]
    parts, figures = [], []
    if exams is not None:
        patients, num_exams = exams["patient_id"].nunique(), len(exams)
        text = f"{num_exams} exams of {patients} patients were found"
        text += f" in {len(series)} series." if series is not None else "."
        parts.append(paragraph(text + _describe(exams)))
        usable = int((prepared["status"] == "ok").sum()) if prepared is not None else None
        detail = f"of {patients} patients" + (f"; {usable} prepared" if usable is not None else "")
        figures.append(KeyFigure("exams", str(num_exams), detail))
    parts.append(_quarantined(exams, prepared))
    if (work / "quality" / "index.html").is_file():
        link = '<a href="quality/index.html">Pictures and checks of the prepared exams</a>'
        parts.append(f"<p>{link} (quality/index.html)</p>\n")
    if splits is not None:
        counts = splits.groupby("split", sort=False).agg(
            exams=("exam_id", "nunique"), patients=("patient_id", "nunique")
        )
        order = [s for s in ("training", "validation", "test") if s in counts.index]
        parts.append("<h3>Splits</h3>\n" + paragraph("A patient is in one split only."))
        parts.append(table(counts.loc[order].reset_index()))
    return Section("cohort", title, "".join(parts), tuple(figures), tuple(missing))


def label_section(work: Path) -> Section:
    """Prevalence of the weak labels and their agreement with hand labels."""
    parts, figures, missing = [], [], []
    prevalence = read_free_table(work / "label_prevalence.csv", ("region", "prevalence"))
    audit = read_free_table(work / "label_audit.csv", ("region",))
    metrics = sorted((work / "report_labeler").glob("**/*metrics*.csv"))
    metrics += sorted((work / "report_labeler").glob("**/*metrics*.json"))
    if prevalence is None:
        reason = "not written: scripts/label_reports.py has not run or did not finish"
        missing.append(("label_prevalence.csv", reason))
    if audit is None:
        reason = "weak labels were not compared with hand labels; needs DATA/hand_labels.csv"
        missing.append(("label_audit.csv", reason))
    if not metrics:
        missing.append(("report_labeler/metrics", "the report labeler wrote no metrics"))
    if audit is not None:
        parts.append("<h3>Weak labels against hand labels</h3>\n")
        parts.append(_audit_tables(audit))
        figures.extend(_audit_figures(audit))
    parts.extend(_metrics(path) for path in metrics)
    if prevalence is not None:
        parts.append("<h3>How often each region is labeled abnormal</h3>\n")
        parts.append(_prevalence_tables(prevalence))
    body = "".join(parts)
    if body:
        text = "Labels of the training exams are read from reports by a model; they are not truth."
        body = notice("Weak labels.", text) + body
    return Section("labels", "Labels from reports", body, tuple(figures), tuple(missing))


def overlay_section(work: Path) -> Section:
    """Pictures of exams with the evidence for their regions."""
    title, folder = "What spoke for each region", work / "overlays"
    rows = read_free_table(folder / "overlays.csv", ("exam_id", "file"))
    if rows is None:
        reason = "not written: scripts/draw_attention.py has not run or did not finish"
        return Section("overlays", title, missing=(("overlays/overlays.csv", reason),))
    text = (
        "Color shows which places raised a region's output: attention times what the head found "
        "there, each region relative to its own largest value. It is coarse, no segmentation, and "
        "does not mean that the place is abnormal."
    )
    parts, missing = [notice("How to read these.", text)], []
    for file, of_file in rows.groupby("file", sort=False):
        path = folder / str(file)
        if path.is_file():
            parts.append(picture(path, _overlay_caption(of_file), kind="overlay"))
        else:
            missing.append((f"overlays/{file}", "listed in overlays.csv, but there is no file"))
    return Section("overlays", title, "".join(parts), missing=tuple(missing))


def _describe(exams: pd.DataFrame) -> str:
    """Sex and age in words, as far as they are known."""
    by_patient = exams.drop_duplicates("patient_id")
    women, men = (int((by_patient["sex"] == sex).sum()) for sex in ("F", "M"))
    ages = by_patient["age_years"].dropna()
    text = f" {women} women and {men} men" if women + men else ""
    if len(ages):
        low, middle, high = ages.min(), ages.median(), ages.max()
        text += f"{',' if text else ' The patients are'} {low:.0f} to {high:.0f} years old"
        text += f" (median {middle:.0f})"
    return f"{text}." if text else ""


def _quarantined(exams: pd.DataFrame | None, prepared: pd.DataFrame | None) -> str:
    rows = []
    for step, found in (("index", exams), ("prepare", prepared)):
        if found is not None:
            bad = found[found["status"] == "quarantined"]
            rows += [
                {"exam": row["exam_id"], "step": step, "reason": row["reason"]}
                for row in bad.to_dict("records")
            ]
    if not rows:
        return paragraph("No exam is quarantined.") if exams is not None else ""
    frame = pd.DataFrame(rows).drop_duplicates("exam")
    heading = "<h3>Quarantined exams</h3>\n"
    text = f"{len(frame)} exams cannot be used; they are not part of any number on this page."
    content = table(frame)
    return heading + paragraph(text) + (content if len(frame) <= 12 else folded("list", content))


def _overlay_caption(rows: pd.DataFrame) -> str:
    if "caption" in rows.columns and rows["caption"].notna().any():
        captions = rows["caption"].dropna().astype(str).drop_duplicates()
        return f"Exam {rows['exam_id'].iloc[0]}. " + " ".join(captions)
    parts = [
        f"{task_title(str(row.get('region', '')))}: probability {number(row.get('prob'), 2)}"
        for row in rows.to_dict("records")
    ]
    return f"Exam {rows['exam_id'].iloc[0]}. " + "; ".join(parts)


def _audit_tables(audit: pd.DataFrame) -> str:
    pooled = audit[audit["region"] == "main_regions"]
    single = audit[audit["region"] != "main_regions"]
    parts = []
    if len(pooled):
        pooled = pooled.drop(columns="region")
        parts.append(table(pooled, caption="All decisions on the main regions together"))
    single = single.assign(region=[task_title(str(region)) for region in single["region"]])
    parts.append(folded(f"per region ({len(single)} rows)", table(single)))
    return "".join(parts)


def _audit_figures(audit: pd.DataFrame) -> list[KeyFigure]:
    pooled = audit[audit["region"] == "main_regions"]
    if pooled.empty or "f1" not in pooled.columns:
        return []
    best = pooled.sort_values("f1", ascending=False).iloc[0]
    labeler = f"{best['labeler']}, " if "labeler" in pooled.columns else ""
    detail = f"{labeler}weak against hand labels, main regions"
    return [KeyFigure("F1 of the weak labels", number(best["f1"], 2), detail)]


def _prevalence_tables(prevalence: pd.DataFrame) -> str:
    names = prevalence["title"] if "title" in prevalence.columns else prevalence["region"]
    rows = prevalence.assign(region=names).drop(columns="title", errors="ignore")
    if "main" not in rows.columns:
        return folded(f"{len(rows)} regions", table(rows))
    main = rows[rows["main"] == 1].drop(columns="main")
    others = rows[rows["main"] != 1].drop(columns="main")
    main = main.sort_values("prevalence", ascending=False)
    parts = folded(f"the {len(main)} outputs of the scan model", table(main))
    return parts + (folded(f"{len(others)} other regions", table(others)) if len(others) else "")


def _metrics(path: Path) -> str:
    if path.suffix == ".csv":
        rows = read_free_table(path, ())
    else:
        document = read_json(path)
        items = document.items() if isinstance(document, dict) else enumerate(document)
        rows = pd.DataFrame([{"metric": str(key), "value": _in_words(v)} for key, v in items])
    if rows is None or rows.empty:
        return ""
    heading = escape(path.stem.replace("_", " "))
    return f"<h3>Report labeler: {heading}</h3>\n" + table(rows)


def _in_words(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return value if isinstance(value, str) else json.dumps(value)[:200]
