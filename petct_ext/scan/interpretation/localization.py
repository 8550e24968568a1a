"""Whether a region's head looks where its lesions are: attention against boxes of known truth.

The truth is that of artificial patients (``truth/boxes.csv``): no other exam has it complete. What
is measured says whether the mechanism works, not how well it would on patients.

Letters in shapes: H heads, X', Y', Z' positions of the encoder, N boxes.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, IMAGE, PET
from petct_ext.ontology import RegionOntology
from petct_ext.scan.interpretation.scan_model import ScanModel
from petct_ext.tables.schemas import IDENTIFIERS, Column, Kind, Schema, read_table

__all__ = ["BOXES", "box_shares", "localize_exams", "mass_inside", "read_boxes"]

Size = tuple[int, int, int]

_LOW: Final = ["x_low_mm", "y_low_mm", "z_low_mm"]
_HIGH: Final = ["x_high_mm", "y_high_mm", "z_high_mm"]
_NUMBER: Final = Column(Kind.NUMBER)

BOXES: Final = Schema(
    "boxes of the truth",
    MappingProxyType(
        {
            "study_instance_uid": Column(),
            "region": Column(),
            "kind": Column(choices=("lesion", "region")),
            **dict.fromkeys((*_LOW, *_HIGH), _NUMBER),
        }
    ),
)
"""``truth/boxes.csv`` of an artificial cohort: corners of boxes, RAS+ in mm."""


def read_boxes(cohort: Path, identifiers: Path) -> pd.DataFrame:
    """Reads the boxes of an artificial cohort by exam.

    Args:
        cohort: folder of the cohort.
        identifiers: table of schema IDENTIFIERS of the work folder that was made from it.

    Returns:
        Columns of :data:`BOXES` and ``exam_id``; exams that the table does not name are left out.

    Raises:
        InputDataError: if a table is missing or broken, a box is inside out, or no exam is named.
    """
    path = cohort / "truth" / "boxes.csv"
    if not path.is_file():
        raise InputDataError(
            f"{path} does not exist; only artificial cohorts have it. If {cohort} is one of an "
            "earlier version, run scripts/make_synthetic_data.py with its seed and number of "
            "patients again: images are kept, tables written anew."
        )
    boxes = read_table(path, BOXES)
    turned = (boxes[_LOW].to_numpy() > boxes[_HIGH].to_numpy()).any(axis=1)
    if turned.any():
        row = int(np.flatnonzero(turned)[0])
        raise InputDataError(
            f"{path}: box {row + 1} has a low corner above the high one; write the table again."
        )
    exam_of = read_table(identifiers, IDENTIFIERS).set_index("study_instance_uid")["exam_id"]
    known = boxes.assign(exam_id=boxes["study_instance_uid"].map(exam_of)).dropna(subset="exam_id")
    if known.empty:
        raise InputDataError(
            f"{identifiers} names no exam of {path}; give the work folder made from this cohort."
        )
    return known


def box_shares(
    boxes: npt.ArrayLike,
    affine: npt.ArrayLike,
    spatial_size: Size,
    *,
    strides: Size,
    first_center: tuple[float, float, float] | None = None,
) -> Floats:
    """Returns how much of every position of the encoder lies inside boxes.

    Position ``i`` stands for the ``stride`` voxels around ``first_center + i * stride``, as in
    :func:`petct_ext.scan.interpretation.maps.attention_map`, the first one also for what lies
    below; what reaches past the volume counts as outside.

    Args:
        boxes: lowest and highest corners, RAS+ in mm, (N, 2, 3).
        affine: from voxel indices to RAS+ mm, (4, 4), axes along R, A and S.
        spatial_size: X, Y, Z of the volume.
        strides: voxels per position.
        first_center: as in ``attention_map``; None is the middle of the first ``stride`` voxels.

    Returns:
        Shares in [0, 1], (X', Y', Z'). Where boxes overlap in part of a voxel, the largest counts.

    Raises:
        InputDataError: if the axes of the volume are not those of the patient.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    spacing = np.diagonal(matrix)[:3]
    if np.abs(matrix[:3, :3] - np.diag(spacing)).max() > 1e-3 * spacing.max() or spacing.min() <= 0:
        raise InputDataError(
            f"the volume's affine {matrix[:3, :3].round(3).tolist()} is not along R, A and S; "
            "prepare the exams with scripts/prepare_exams.py."
        )
    corners = (np.asarray(boxes, dtype=np.float64).reshape(-1, 2, 3) - matrix[:3, 3]) / spacing
    grid = [-(-size // stride) for size, stride in zip(spatial_size, strides, strict=True)]
    inside = np.zeros(spatial_size)
    for low, high in corners:
        sides = [_overlap(low[k], high[k], spatial_size[k]) for k in range(3)]
        if not all(side.any() for side in sides):
            continue
        there = tuple(slice(*(np.flatnonzero(side)[[0, -1]] + [0, 1])) for side in sides)
        x, y, z = (side[cut] for side, cut in zip(sides, there, strict=True))
        covered = x[:, None, None] * y[None, :, None] * z[None, None, :]
        np.maximum(inside[there], covered, out=inside[there])
    of_axes = []
    for axis, stride in enumerate(strides):
        first = (stride - 1) / 2 if first_center is None else first_center[axis]
        of_axes.append(_voxels_of_positions(first, stride, grid[axis], spatial_size[axis]))
    inside = (of_axes[0] @ inside.reshape(len(inside), -1)).reshape(-1, *inside.shape[1:])
    inside = of_axes[1] @ inside @ of_axes[2].T
    return np.asarray(np.clip(inside, 0, 1))  # rounding


def mass_inside(weights: npt.ArrayLike, shares: npt.ArrayLike) -> float:
    """Returns which part of a map's mass lies inside boxes; of an even map it is the mean share.

    Args:
        weights: not negative, (X', Y', Z').
        shares: from :func:`box_shares`, (X', Y', Z').

    Returns:
        In [0, 1]; NaN if the map has no mass.
    """
    values = np.asarray(weights, dtype=np.float64)
    total = float(values.sum())
    return float((values * np.asarray(shares)).sum() / total) if total > 0 else float("nan")


def localize_exams(model: ScanModel, boxes: pd.DataFrame, ontology: RegionOntology) -> pd.DataFrame:
    """Measures where the heads of a scan model look in exams whose lesions are known.

    Two maps are measured: attention (mean over heads), and evidence (what each position adds to the
    logit, where it adds to it). Both against boxes around the lesions of the region and around the
    region itself. Chance is what an even map would have.

    Args:
        model: the network with its exams.
        boxes: from :func:`read_boxes`.
        ontology: a lesion of a part counts for the regions around it.

    Returns:
        One row per exam, region that holds a lesion, map and box: ``exam_id``, ``region``, ``map``
        (attention or evidence), ``box`` (lesion or region), ``mass`` (share of the map inside),
        ``chance``, ``best`` (share of the position that lies most inside: what a map with all of
        its mass there would have), ``hit`` (whether the largest value is at a position that touches
        a box) and ``hit_chance`` (share of such positions). ``mass`` and ``hit`` are NaN where
        nothing adds to the logit.

    Raises:
        InputDataError: if no exam of the model has a lesion in one of its regions.
    """
    of_exam = {str(exam): rows for exam, rows in boxes.groupby("exam_id")}
    rows: list[dict[str, Any]] = []
    for index, source in enumerate(model.dataset.data):
        exam_id = str(source[EXAM_ID])
        if exam_id in of_exam:
            rows += _localize(model, index, of_exam[exam_id], ontology)
    if not rows:
        raise InputDataError(
            f"none of the {len(model.dataset.data)} exams of this section has a lesion in "
            f"{', '.join(model.regions[:3])} ...; choose another section or other boxes."
        )
    return pd.DataFrame(rows)


def _voxels_of_positions(first: float, stride: int, positions: int, size: int) -> Floats:
    """Returns which share of each position of an axis each voxel is, (positions, size)."""
    edges = first + stride * (np.arange(positions + 1) - 0.5)
    edges[0] = min(edges[0], -0.5)
    return np.stack([_overlap(low, high, size) / (high - low) for low, high in pairwise(edges)])


def _overlap(low: float, high: float, size: int) -> Floats:
    """Returns which part of each voxel of an axis lies between two indices, (size,)."""
    at = np.arange(size)
    return np.asarray(np.clip(np.minimum(high, at + 0.5) - np.maximum(low, at - 0.5), 0, 1))


def _localize(
    model: ScanModel, index: int, boxes: pd.DataFrame, ontology: RegionOntology
) -> list[dict[str, Any]]:
    source = model.dataset.data[index]
    image = model.dataset[index][IMAGE].to(model.device)[None]
    with torch.inference_mode():
        attention = model.network.attention(image)[0].mean(dim=1)
        evidence = model.network.contributions(image)[0].clamp(min=0)
    maps = {"attention": attention.double().cpu(), "evidence": evidence.double().cpu()}
    affine = nib.as_closest_canonical(nib.load(source[PET])).affine
    size: Any = tuple(int(n) for n in image.shape[2:])
    rows = []
    strides, center = model.network.encoder.strides, model.network.first_center(size)
    for number, region in enumerate(model.regions):
        held = ontology.parts(region) | {region}
        for kind, chosen in _boxes_of(region, held, boxes).items():
            shares = box_shares(chosen, affine, size, strides=strides, first_center=center)
            for name, values in maps.items():
                measured = _measure(values[number].numpy(), shares)
                about = {"exam_id": source[EXAM_ID], "region": region, "map": name, "box": kind}
                rows.append(about | measured)
    return rows


def _boxes_of(region: str, held: frozenset[str], boxes: pd.DataFrame) -> dict[str, Floats]:
    """Returns the boxes (N, 2, 3) by kind; nothing if the region holds no lesion."""
    kinds, regions = boxes["kind"].tolist(), boxes["region"].tolist()
    lesions = [k == "lesion" and r in held for k, r in zip(kinds, regions, strict=True)]
    around = [k == "region" and r == region for k, r in zip(kinds, regions, strict=True)]
    if not any(lesions):
        return {}
    corners = boxes[[*_LOW, *_HIGH]].to_numpy(dtype=np.float64).reshape(-1, 2, 3)
    return {
        kind: corners[rows] for kind, rows in (("lesion", lesions), ("region", around)) if any(rows)
    }


def _measure(values: Floats, shares: Floats) -> dict[str, float]:
    touched = shares > 0
    has_mass = bool(values.sum() > 0)
    # An even map has its largest value everywhere: it hits as often as chance does.
    peak = values == values.max()
    return {
        "mass": mass_inside(values, shares),
        "chance": float(shares.mean()),
        "best": float(shares.max()),
        "hit": float(touched[peak].mean()) if has_mass else float("nan"),
        "hit_chance": float(touched.mean()),
    }
