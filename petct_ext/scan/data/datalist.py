"""Datalists: the JSON files that tell a bundle which exams to use, and for what."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from petct_ext.cohort.reader_labels import SUMMARY_CODE_TASK
from petct_ext.dicom.volumes.exam_record import RECORD
from petct_ext.dicom.volumes.pet_suv import SUV_BW
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json, write_json
from petct_ext.ontology import RegionOntology
from petct_ext.scan.data.blanked_labels import without_blanked
from petct_ext.scan.data.checks import require_exams
from petct_ext.scan.data.flagged import find_flagged
from petct_ext.tables.schemas import LABELS, PREPARED, SPLITS, read_table

__all__ = [
    "LABEL_CHOICES",
    "SECTIONS",
    "build_datalist",
    "check_regions",
    "load_datalist",
    "usable_exams",
]

_LOGGER = logging.getLogger(__name__)

SECTIONS = ("training", "validation", "test")
"""Sections of a datalist. Other keys hold notes."""

LABEL_CHOICES = ("weak", "hand", "hybrid")
"""Whose labels are read: those of reports, a reader's, or a reader's where there is one."""


def load_datalist(
    path: str | Path,
    section: str,
    regions: Sequence[str],
    *,
    labels: str = "weak",
    base_dir: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Reads one section of a datalist as items for a MONAI dataset.

    The file has the form::

        {"training": [{"exam_id": "E1", "patient_id": "P1",
                       "pet": "volumes/E1/pet.nii", "ct": "volumes/E1/ct.nii", "num_slices": 208,
                       "labels": {"liver": 0.93, "spleen": null}, "hand_labels": {"liver": 1}}],
         "validation": [...], "test": [...]}

    ``num_slices`` and ``hand_labels`` may be left out. Labels are looked up by region name, so
    reordering ``regions`` cannot mix them up.

    Args:
        path: the JSON file.
        section: which list to read, e.g. ``"training"``; ``"all"`` joins all of them.
        regions: regions of the network outputs, in order.
        labels: "weak" reads ``labels``, "hand" ``hand_labels``, and "hybrid" a hand label where
            there is one and else the weak label.
        base_dir: folder that image paths are relative to; the folder of ``path`` if omitted.

    Returns:
        One dictionary per exam with the keys ``exam_id`` (str), ``pet`` and ``ct`` (absolute
        paths as str), ``split`` (the section's name), ``label`` (float32 array of shape
        ``(len(regions),)``, NaN where the file has ``null`` or nothing) and ``num_slices`` (int,
        None where the file does not say).

    Raises:
        InputDataError: if the file or section is missing or empty, a volume does not exist, a
            patient of this section also occurs in another one, a region is in no item, a label
            is not a probability, or ``labels`` is another word.
    """
    path = Path(path)
    if labels not in LABEL_CHOICES:
        raise InputDataError(
            f"labels is {labels!r}; it must be one of {', '.join(LABEL_CHOICES)}."
            f"{did_you_mean(labels, LABEL_CHOICES)}"
        )
    chosen, document = _read_sections(path, section)
    items = [item | {"split": name} for name in chosen for item in document[name]]
    if not items:
        raise InputDataError(f"section {section!r} of {path} is empty; nothing can be done.")
    for item in items:
        item["labels"] = _chosen_labels(item, labels)
    _require_known(items, regions, path, kind=labels)
    base = Path(base_dir) if base_dir is not None else path.parent
    return [
        {
            "exam_id": item["exam_id"],
            "pet": _existing(base / item["pet"], item, path),
            "ct": _existing(base / item["ct"], item, path),
            "label": _label_vector(item, regions, path),
            "split": item["split"],
            "num_slices": item.get("num_slices"),
        }
        for item in items
    ]


def _read_sections(path: Path, section: str) -> tuple[list[str], dict[str, Any]]:
    """Returns the names of the sections that are asked for, and the whole document."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputDataError(f"{path} is no datalist: its top level is no object with sections.")
    present = [name for name in SECTIONS if isinstance(document.get(name), list)]
    if section != "all" and section not in present:
        raise InputDataError(
            f"{path} has no section {section!r}; it has {', '.join(present) or 'none'}."
            f"{did_you_mean(section, present)}"
        )
    require_exams({name: document[name] for name in present}, path)
    return (present if section == "all" else [section]), document


def check_regions(regions: Sequence[str], ontology: RegionOntology) -> None:
    """Refuses names that are no region before anything slow begins.

    Args:
        regions: outputs of a network.
        ontology: the regions that there are.

    Raises:
        InputDataError: if a name is unknown or stands there twice.
    """
    for name in regions:
        if name not in ontology and name != SUMMARY_CODE_TASK:
            raise InputDataError(
                f"regions of the configuration: {name!r} is no region of {ontology.source}."
                f"{did_you_mean(name, ontology)} A region of your own needs the key ontology."
            )
    if len(set(regions)) < len(regions):
        twice = next(name for name in regions if list(regions).count(name) > 1)
        raise InputDataError(f"regions of the configuration: {twice!r} is there twice; take one.")


def _chosen_labels(item: Mapping[str, Any], kind: str) -> dict[str, Any]:
    weak, hand = item.get("labels") or {}, item.get("hand_labels") or {}
    if kind == "weak":
        return dict(weak)
    known = {region: label for region, label in hand.items() if label is not None}
    return known if kind == "hand" else {**weak, **known}


def usable_exams(prepared: pd.DataFrame, *, any_units: bool = False) -> pd.DataFrame:
    """Returns the prepared exams whose PET is in SUVbw; says how many others are left out.

    Args:
        prepared: schema PREPARED.
        any_units: keep exams whose PET is in other units; a network that has seen SUV only makes
            nothing of them.
    """
    prepared = prepared[prepared.status == "ok"]
    others = prepared[~prepared.pet_units.isin(["", SUV_BW])]
    if any_units or others.empty:
        return prepared
    counts = ", ".join(f"{n} in {units}" for units, n in others.pet_units.value_counts().items())
    _LOGGER.warning(
        "%d of %d prepared exam(s) are left out, since their PET is not in SUVbw (%s); "
        "prepared.csv says why, scripts/prepare_exams.py --suv-overrides supplies what is missing",
        len(others),
        len(prepared),
        counts,
    )
    return prepared.drop(others.index)


def build_datalist(
    work: Path,
    path: Path,
    *,
    ontology: RegionOntology,
    labels: Path | None = None,
    other_labels: Mapping[str, Mapping[str, float]] | None = None,
    hand_labels: Mapping[str, Mapping[str, float]] | None = None,
    any_units: bool = False,
    leave_out: Sequence[str] | None = None,
) -> dict[str, int]:
    """Joins prepared exams, splits and labels into a datalist.

    Labels of regions that are blanked in an exam, weak ones and a reader's, are null; see
    :func:`petct_ext.scan.data.blanked_labels.without_blanked`.

    Args:
        work: the work folder with ``prepared.csv`` and ``splits.csv``.
        path: where to write; image paths are relative to its folder.
        ontology: the regions that columns of ``labels`` may be.
        labels: weak labels, one column per region; None writes exams without labels, all of them
            in the section ``test``, for prediction only.
        other_labels: further labels by exam and name, e.g. of
            :func:`petct_ext.cohort.reader_labels.summary_code_labels`; exams without them have
            none.
        hand_labels: a reader's labels by exam and region, kept apart from the weak ones; see
            :func:`petct_ext.cohort.reader_labels.hand_labels_by_exam`.
        any_units: see :func:`usable_exams`.
        leave_out: names of checks; exams in which one is not fine are left out, which the datalist
            records under ``left_out``. An empty sequence means every check, None leaves all in; see
            :func:`petct_ext.scan.data.flagged.find_flagged`.

    Returns:
        The number of exams in each section and, with ``leave_out``, ``"left_out as flagged"``.

    Raises:
        InputDataError: if a table is missing or broken, a column is no region, a name in
            ``leave_out`` is not a check, or a section would be empty.
        OutputError: if the datalist cannot be written.
    """
    prepared = usable_exams(read_table(work / "prepared.csv", PREPARED), any_units=any_units)
    prepared, left_out = _without_flagged(prepared, work, leave_out)
    splits = read_table(work / "splits.csv", SPLITS) if labels else _all_test(prepared)
    joined = prepared.merge(splits, on="exam_id", validate="one_to_one")
    by_exam: Mapping[str, Mapping[str, float]] = {}
    if labels is not None:
        weak = read_table(labels, LABELS).set_index("exam_id")
        _require_regions(labels, list(weak.columns), ontology)
        joined = joined[joined.exam_id.isin(weak.index)]
        by_exam = {str(exam): _known(row) for exam, row in weak.iterrows()}
    sections: dict[str, list[dict[str, Any]]] = {name: [] for name in SECTIONS}
    for row in joined.to_dict("records"):
        exam = str(row["exam_id"])
        item = _item(row, work, path.parent)
        item["labels"] = {**by_exam.get(exam, {}), **(other_labels or {}).get(exam, {})}
        if hand := (hand_labels or {}).get(exam):
            item["hand_labels"] = dict(hand)
        if labels is not None:
            _forget_blanked(item, work / row["pet"], ontology)
        sections[row["split"]].append(item)
    sizes = {name: len(items) for name, items in sections.items()}
    if labels is not None and not all(sizes.values()):
        raise InputDataError(
            f"the exams with volumes and labels are too few for a split: {sizes}; add exams or "
            "see prepared.csv for the reasons of failure."
        )
    note = "weak labels from reports, not truth" if labels is not None else "no labels"
    write_json(path, {"labels_are": note, **left_out, **sections})
    return sizes | {f"{name} as flagged": of["num_exams"] for name, of in left_out.items()}


def _without_flagged(
    prepared: pd.DataFrame, work: Path, leave_out: Sequence[str] | None
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Returns the exams that stay, and what the datalist says of the others."""
    if leave_out is None:
        return prepared, {}
    flagged = find_flagged(work, list(prepared.exam_id), leave_out)
    stay = prepared[~prepared.exam_id.isin(list(flagged.reasons))]
    if stay.empty and flagged.reasons:
        exam, reason = next(iter(flagged.reasons.items()))
        raise InputDataError(
            f"all {len(flagged.reasons)} exams would be left out as flagged, e.g. {exam}: {reason}."
        )
    return stay, {"left_out": flagged.record}


def _require_regions(path: Path, columns: Sequence[str], ontology: RegionOntology) -> None:
    for name in columns:
        if name not in ontology:
            raise InputDataError(
                f"{path}: column {name!r} is no region of {ontology.source}; give the --ontology "
                f"with which scripts/label_reports.py wrote it.{did_you_mean(name, ontology)}"
            )


def _forget_blanked(item: dict[str, Any], pet: Path, ontology: RegionOntology) -> None:
    """Leaves the labels of an exam's blanked regions unknown."""
    if blanked := _blanked(pet):
        item["blanked"] = blanked
        for kind in ("labels", "hand_labels"):
            if kind in item:
                item[kind] = without_blanked(item[kind], ontology, blanked)


def _blanked(pet: Path) -> list[str]:
    """Returns which parts of a prepared exam are blanked."""
    record = pet.with_name(RECORD)
    if not record.is_file():
        return []
    document = read_json(record)
    if "blanked" not in document:
        _LOGGER.warning(
            "exam %s was prepared before blanked heads were looked for; run "
            "scripts/prepare_exams.py in a new work folder to have it looked at",
            pet.parent.name,
        )
    return list(document.get("blanked", []))


def _item(row: Mapping[Any, Any], work: Path, folder: Path) -> dict[str, Any]:
    return {
        "exam_id": row["exam_id"],
        "patient_id": row["patient_id"],
        "pet": _relative(work / row["pet"], folder),
        "ct": _relative(work / row["ct"], folder),
        "num_slices": None if pd.isna(row["num_slices"]) else int(row["num_slices"]),
        "labels": {},
    }


def _all_test(prepared: pd.DataFrame) -> pd.DataFrame:
    # Without labels nothing is trained, so that who the patient is does not matter.
    return pd.DataFrame(
        {"exam_id": prepared.exam_id, "patient_id": prepared.exam_id, "split": "test"}
    )


def _known(row: pd.Series) -> dict[str, float]:
    return {str(region): float(p) for region, p in row.items() if not np.isnan(p)}


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()


def _existing(file: Path, item: Mapping[str, Any], source: Path) -> str:
    if not file.is_file():
        raise InputDataError(
            f"{source}: the volume {file} of exam {item['exam_id']} does not exist; run "
            "scripts/prepare_exams.py again."
        )
    return str(file.resolve())


def _require_known(
    items: list[dict[str, Any]], regions: Sequence[str], source: Path, *, kind: str
) -> None:
    labeled = {region for item in items for region in item["labels"]}
    if kind == "hand" and regions and not labeled:
        raise InputDataError(
            f"{source}: no exam has hand labels; write it with scripts/make_datalist.py "
            "--hand-labels, or set labels to weak."
        )
    for region in regions:
        if labeled and region not in labeled:
            raise InputDataError(
                f"{source}: no exam has a label of {region!r}.{did_you_mean(region, labeled)} A "
                "region of your own needs its --ontology in scripts/label_reports.py, too."
            )


def _label_vector(item: dict[str, Any], regions: Sequence[str], source: Path) -> np.ndarray:
    labels = item["labels"]
    bad = {r: labels[r] for r in regions if not _is_probability(labels.get(r))}
    if bad:
        raise InputDataError(
            f"{source}: exam {item['exam_id']!r} has labels that are not probabilities: {bad}; "
            "give numbers from 0 to 1, or null where unknown."
        )
    values = (labels.get(region) for region in regions)
    return np.array([np.nan if p is None else p for p in values], dtype=np.float32)


def _is_probability(label: object) -> bool:
    if label is None:
        return True
    return isinstance(label, int | float) and (np.isnan(label) or bool(0 <= label <= 1))
