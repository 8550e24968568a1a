"""Runs a trained scan model on some exams and draws what its heads attended to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from nibabel.affines import voxel_sizes

from petct_ext.errors import InputDataError
from petct_ext.figures.overlays import ShownRegion, draw_overlay
from petct_ext.files import atomic_path, make_folder
from petct_ext.keys import CT, EXAM_ID, IMAGE, PET
from petct_ext.ontology import RegionOntology
from petct_ext.scan.interpretation.maps import attention_map, evidence_map
from petct_ext.scan.interpretation.scan_model import ScanModel
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import PREDICTIONS, read_table

__all__ = ["draw_exams"]


def draw_exams(
    model: ScanModel,
    predictions: Path,
    out: Path,
    *,
    ontology: RegionOntology,
    num_exams: int = 4,
    num_regions: int = 3,
    exams: Sequence[str] = (),
) -> pd.DataFrame:
    """Draws exams and writes their attention and evidence maps.

    Args:
        model: the scan model with its data.
        predictions: table of schema PREDICTIONS with the same exams; chooses what is shown.
        out: folder for ``<exam_id>.png``, ``<exam_id>_attention.nii.gz`` (in [0, 1]),
            ``<exam_id>_evidence.nii.gz`` (in units of the logit) and ``overlays.csv``.
        ontology: tells titles, and which region is the whole body.
        num_exams: how many exams to draw if ``exams`` is empty.
        num_regions: how many regions to show per exam, the most probable ones that are not
            containers of the whole body.
        exams: ids of the exams to draw.

    Returns:
        The table that ``overlays.csv`` holds: exam_id, region, target, prob, file, caption.

    Raises:
        InputDataError: if an exam is not in the predictions or in the datalist.
        OutputError: if ``out`` cannot be written to.
    """
    make_folder(out)
    table = read_table(predictions, PREDICTIONS)
    parts = [region for region in model.regions if region not in ontology.outermost()]
    table = table[table.task.isin(parts)]
    known = {item[EXAM_ID]: i for i, item in enumerate(model.dataset.data)}
    chosen = list(exams) or _most_certain(table[table.exam_id.isin(list(known))], num_exams)
    if not chosen:
        raise InputDataError(
            f"nothing to draw: {predictions} has no region of the {len(known)} exam(s) in this "
            "section of the datalist, or num_exams is 0."
        )
    rows = []
    for exam_id in chosen:
        if exam_id not in known:
            raise InputDataError(f"exam {exam_id!r} is not in this section of the datalist.")
        of_exam = table[table.exam_id == exam_id].nlargest(num_regions, "prob")
        if of_exam.empty:
            raise InputDataError(f"{predictions} has no predictions of exam {exam_id!r}.")
        titles = [ontology.in_words(task) for task in of_exam["task"]]
        rows += _draw_one(model, known[exam_id], of_exam.assign(title=titles), out)
    written = pd.DataFrame(rows)
    write_csv(written, out / "overlays.csv")
    return written


def _most_certain(table: pd.DataFrame, num_exams: int) -> list[str]:
    """Returns exams whose abnormal regions the network is surest of, each led by another region."""
    best = table.sort_values("prob", ascending=False)
    leading = best.drop_duplicates("exam_id").drop_duplicates("task").exam_id.tolist()
    others = [e for e in best.exam_id.drop_duplicates() if e not in leading]
    return (leading + others)[:num_exams]


def _draw_one(model: ScanModel, index: int, rows: pd.DataFrame, out: Path) -> list[dict[str, Any]]:
    item, source = model.dataset[index], model.dataset.data[index]
    shown = [model.regions.index(task) for task in rows["task"]]
    maps = {kind: of_all[shown] for kind, of_all in _maps(model, item[IMAGE]).items()}
    pet, ct = (nib.as_closest_canonical(nib.load(source[key])) for key in (PET, CT))
    dx, dy, dz = map(float, voxel_sizes(pet.affine))
    findings = [
        ShownRegion(row["title"], float(row["prob"]), float(row["target"]), evidence)
        for evidence, row in zip(maps["evidence"], rows.to_dict("records"), strict=True)
    ]
    name = f"{item[EXAM_ID]}.png"
    caption = (
        f"exam {item[EXAM_ID]}; labels are {_kind(rows)}; color shows what spoke for the "
        "region, not a lesion outline; research use only"
    )
    draw_overlay(
        out / name,
        np.asarray(pet.dataobj, dtype=np.float32),
        np.asarray(ct.dataobj, dtype=np.float32),
        findings,
        spacing_mm=(dx, dy, dz),
        caption=caption,
    )
    for kind, of_shown in maps.items():
        stacked = np.moveaxis(of_shown, 0, -1).astype(np.float32)
        with atomic_path(out / f"{item[EXAM_ID]}_{kind}.nii.gz") as partial:
            nib.save(nib.Nifti1Image(stacked, pet.affine), partial)
    return [
        {
            "exam_id": item[EXAM_ID],
            "region": row["task"],
            "target": row["target"],
            "prob": row["prob"],
            "file": name,
            "caption": caption,
        }
        for row in rows.to_dict("records")
    ]


def _maps(model: ScanModel, item_image: torch.Tensor) -> dict[str, Any]:
    """Returns attention and evidence of every region (R, X, Y, Z) on the grid of the volume."""
    image = item_image.to(model.device)[None]
    size: Any = tuple(int(n) for n in image.shape[2:])
    place: Any = {
        "strides": model.network.encoder.strides,
        "first_center": model.network.first_center(size),
    }
    with torch.inference_mode():
        weights = model.network.attention(image)[0]
        added = model.network.contributions(image)[0]
    return {
        "attention": attention_map(weights, size, **place).cpu().numpy(),
        "evidence": evidence_map(added, size, **place).cpu().numpy(),
    }


def _kind(rows: pd.DataFrame) -> str:
    if rows.target.isna().all():
        return "not known"
    kinds = {"weak": "weak (from the report)", "hand": "a reader's", "outcome": "outcomes"}
    return kinds.get(str(rows.target_kind.iloc[0]), "of unknown origin")
