"""Every exam is predicted, and its probabilities are the same however that is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import PREDICTIONS, read_table
from tests.bundles.test_bundles import (  # noqa: F401 - datalist and scan_model are fixtures
    BUNDLES,
    TINY,
    datalist,
    read,
    run,
    scan_model,
)


@pytest.fixture(scope="module")
def one_by_one(
    datalist: Path,  # noqa: F811
    scan_model: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> pd.DataFrame:
    return predict(datalist, scan_model, tmp_path_factory.mktemp("one"), batch_size=1)


def predict(
    datalist: Path,  # noqa: F811
    weights: Path,
    folder: Path,
    *configs: str,
    batch_size: int,
) -> pd.DataFrame:
    options: dict[str, Any] = TINY | {
        "batch_size": batch_size,
        "section": "all",
        "datalist": str(datalist),
        "ckpt_path": str(weights),
        "predictions": str(folder / "predictions.csv"),
    }
    names = ("inference", *configs)
    run(BUNDLES / "scan_model", *names, kind="infer", **options)
    return read_table(folder / "predictions.csv", PREDICTIONS)


def probabilities(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index="exam_id", columns="task", values="prob")


def test_every_exam_is_predicted(one_by_one: pd.DataFrame) -> None:
    regions = list(RegionOntology.default().main_regions())
    assert one_by_one["task"].tolist() == regions * 6
    assert one_by_one.groupby("split")["exam_id"].unique().map(sorted).to_dict() == {
        "training": ["E00", "E01"],
        "validation": ["E10", "E11"],
        "test": ["E20", "E21"],
    }
    assert set(one_by_one["target_kind"]) == {"weak"}
    unknown = one_by_one[one_by_one["target"].isna()]
    assert set(unknown["task"]) == {"mouth"}
    assert sorted(unknown["exam_id"]) == ["E01", "E11", "E21"]


def test_prediction_does_not_depend_on_the_size_of_batches(
    datalist: Path,  # noqa: F811
    scan_model: Path,  # noqa: F811
    one_by_one: pd.DataFrame,
    tmp_path: Path,
) -> None:
    """Exams of a batch have other lengths, so that all but one are padded."""
    together = probabilities(predict(datalist, scan_model, tmp_path, batch_size=6))
    expected = probabilities(one_by_one)
    pd.testing.assert_frame_equal(together, expected, rtol=0, atol=1e-6)
    assert expected.std().max() > 1e-4  # exams do differ


@pytest.mark.slow
def test_openvino_predicts_the_same(
    datalist: Path,  # noqa: F811
    scan_model: Path,  # noqa: F811
    one_by_one: pd.DataFrame,
    tmp_path: Path,
) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    found = predict(datalist, scan_model, tmp_path, "inference_openvino", batch_size=2)
    pd.testing.assert_frame_equal(
        probabilities(found), probabilities(one_by_one), rtol=0, atol=1e-4
    )


def test_openvino_is_switched_on_alike_in_both_bundles() -> None:
    assert read("scan_model", "inference_openvino") == read("mortality", "inference_openvino")
