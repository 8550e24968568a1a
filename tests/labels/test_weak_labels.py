"""Weak labels are written for every exam, audited, and refused if their sources are broken."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.preparation import prepare_report_items
from petct_ext.labels.weak_labels import write_weak_labels
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import LABELS, MENTIONS, read_table
from tests.reports.phantom_reports import write_phantom_reports

ONTOLOGY = RegionOntology.default()


@pytest.fixture
def cohort(tmp_path: Path) -> tuple[Path, Path]:
    cohort, work = write_phantom_reports(tmp_path, num_patients=15)
    prepare_report_items(cohort, work, ONTOLOGY, with_annotations=False)
    return cohort, work


def test_rules_label_every_exam_without_a_model(cohort: tuple[Path, Path]) -> None:
    data, work = cohort
    path = write_weak_labels(work, ONTOLOGY, labeler="rules", hand_labels=data / "hand_labels.csv")
    labels = read_table(path, LABELS)
    assert list(labels.columns) == ["exam_id", *ONTOLOGY]
    assert len(labels) == len(pd.read_csv(work / "splits.csv"))
    assert len(read_table(work / "mentions.csv", MENTIONS)) > 100
    assert len(pd.read_csv(work / "label_prevalence.csv")) == 94
    audit = pd.read_csv(work / "label_audit.csv")
    assert set(audit["labeler"]) == {"rules"}
    pooled = audit[audit["region"] == "main_regions"].iloc[0]
    assert pooled["auroc"] > 0.85


def test_audit_shows_the_rules_beside_the_model(cohort: tuple[Path, Path]) -> None:
    data, work = cohort
    write_weak_labels(work, ONTOLOGY, labeler="rules")
    write_weak_labels(work, ONTOLOGY, hand_labels=data / "hand_labels.csv")
    assert set(pd.read_csv(work / "label_audit.csv")["labeler"]) == {"model", "rules"}


def test_unmentioned_regions_can_stay_unknown(cohort: tuple[Path, Path]) -> None:
    normal = read_table(write_weak_labels(cohort[1], ONTOLOGY, labeler="rules"), LABELS)
    unknown = read_table(
        write_weak_labels(cohort[1], ONTOLOGY, labeler="rules", policy="unknown"), LABELS
    )
    assert normal.notna().all().all()
    assert unknown.isna().any().any()
    pd.testing.assert_frame_equal(unknown.fillna(0.0), normal)


def test_missing_mentions_are_refused_with_the_remedy(cohort: tuple[Path, Path]) -> None:
    with pytest.raises(InputDataError, match=r"inference\.json' \(README\), or use --labeler"):
        write_weak_labels(cohort[1], ONTOLOGY)


def test_mentions_of_unknown_regions_are_refused(cohort: tuple[Path, Path]) -> None:
    write_weak_labels(cohort[1], ONTOLOGY, labeler="rules")
    mentions = pd.read_csv(cohort[1] / "mentions.csv")
    mentions["region"] = mentions["region"].replace("liver", "livr")
    mentions.to_csv(cohort[1] / "mentions.csv", index=False)
    with pytest.raises(InputDataError, match=r"'livr' is no region .* 'liver'\?"):
        write_weak_labels(cohort[1], ONTOLOGY)


def test_hand_labels_of_unknown_regions_are_refused(cohort: tuple[Path, Path]) -> None:
    data, work = cohort
    table = pd.read_csv(data / "hand_labels.csv").rename(columns={"liver": "livr"})
    table.to_csv(data / "hand_labels.csv", index=False)
    with pytest.raises(InputDataError, match=r"column 'livr' is no region of the ontology"):
        write_weak_labels(work, ONTOLOGY, labeler="rules", hand_labels=data / "hand_labels.csv")
    assert not (work / "labels.csv").exists()


def test_unprepared_work_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"report_items\.json does not exist"):
        write_weak_labels(tmp_path, ONTOLOGY)
