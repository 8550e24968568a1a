"""What is planned: which configuration, which start, and who is skipped for which reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from petct_ext.errors import InputDataError, UnknownRegionError
from petct_ext.files import write_json
from petct_ext.ontology import RegionOntology
from petct_ext.pipeline.finetunings import (
    HORIZONS_DAYS,
    RARE_REGIONS,
    Surroundings,
    mortality_finetunings,
    region_finetunings,
    summary_code_training,
)
from tests.conftest import REPOSITORY
from tests.package_regions import ONTOLOGY

# Days to death (positive) or to the last contact (negative) of two patients per section.
FOLLOW_UP = {"training": (100, -400), "validation": (170, -90), "test": (20, -500)}


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(REPOSITORY, tmp_path / "out", ONTOLOGY)


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """The liver is abnormal in one of two exams of each section, the kidney in none."""
    (tmp_path / "volume.nii").touch()
    document: dict[str, list[dict[str, Any]]] = {}
    for section, times in FOLLOW_UP.items():
        document[section] = [
            {
                "exam_id": f"{section}{i}",
                "patient_id": f"{section}{i}",
                "pet": "volume.nii",
                "ct": "volume.nii",
                "labels": {"liver": float(i), "kidney": 0.0, "spine": 0.9 * (section == "test")},
                "time_days": abs(time),
                "event": int(time > 0),
            }
            for i, time in enumerate(times)
        ]
    return write_json(tmp_path / "datalist.json", document)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "model.pt").write_text("weights")
    return tmp_path / "model.pt"


def test_rare_regions_are_in_the_ontology_and_not_among_the_main_ones() -> None:
    ontology = RegionOntology.default()
    assert set(RARE_REGIONS) <= set(ontology)
    assert not set(RARE_REGIONS) & set(ontology.main_regions())
    assert HORIZONS_DAYS == (45, 90, 180, 365)


def test_each_region_and_seed_is_trained_and_then_predicts_all(
    around: Surroundings, datalist: Path, weights: Path
) -> None:
    plan = region_finetunings(
        around, weights=weights, datalist=datalist, regions=["liver"], seeds=[0, 7]
    )
    assert [(item.task, item.seed) for item in plan] == [("liver", 0), ("liver", 7)]
    train, predict = plan[1].steps
    assert train.command[5].endswith(
        "train.json','" + str(REPOSITORY / "bundles/scan_model/configs/finetune.json") + "']"
    )
    assert {"--region=liver", "--seed=7", f"--pretrained_path={weights}"} <= set(train.command)
    assert {"--section=all", "--seed=7", "--regions=['liver']"} <= set(predict.command)
    assert train.outputs[0] in predict.inputs
    assert weights in train.inputs


def test_demo_and_own_files_lie_on_top(datalist: Path, weights: Path, tmp_path: Path) -> None:
    configs = (tmp_path / "mine.json",)
    around = Surroundings(REPOSITORY, tmp_path, ONTOLOGY, is_demo=True, configs=configs)
    (item,) = region_finetunings(
        around, weights=weights, datalist=datalist, regions=["liver"], seeds=[0]
    )
    for step, names in zip(
        item.steps,
        (
            ["train", "demo", "finetune", "demo_finetune", "mine"],
            ["inference", "mine"],
        ),
        strict=True,
    ):
        files = step.command[5].removeprefix("--config_file=").strip("[]").split(",")
        assert [Path(file.strip("'")).stem for file in files] == names


def test_regions_that_cannot_be_learned_carry_the_reason(
    around: Surroundings, datalist: Path, weights: Path
) -> None:
    plan = region_finetunings(
        around,
        weights=weights,
        datalist=datalist,
        regions=["liver", "kidney", "pancreas", "spine"],
        seeds=[0],
    )
    liver, kidney, pancreas, spine = (item.skip_because for item in plan)
    assert liver == ""
    assert kidney.startswith("training: 0 positive, 2 negative and 0 unlabeled exams")
    assert pancreas.startswith("training: 0 positive, 0 negative and 2 unlabeled exams")
    assert spine.startswith("training: 0 positive")


def test_unknown_region_is_told_with_the_nearest_name(
    around: Surroundings, datalist: Path, weights: Path
) -> None:
    with pytest.raises(UnknownRegionError, match="Did you mean 'pancreas'"):
        region_finetunings(
            around, weights=weights, datalist=datalist, regions=["pancras"], seeds=[0]
        )


def test_missing_weights_are_told(around: Surroundings, datalist: Path, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"absent\.pt does not exist"):
        region_finetunings(
            around, weights=tmp_path / "absent.pt", datalist=datalist, regions=["liver"], seeds=[0]
        )


def test_each_start_and_horizon_is_one_experiment_and_task(
    around: Surroundings, datalist: Path, weights: Path
) -> None:
    plan = mortality_finetunings(
        around,
        datalist=datalist,
        starts={"multi_task": {"pretrained_path": weights}, "random": {}},
        horizons_days=[45, 180],
        seeds=[3],
        needs={"multi_task": "something"},
    )
    assert [(item.experiment, item.task) for item in plan] == [
        ("mortality_from_multi_task", "dead_within_45_days"),
        ("mortality_from_multi_task", "dead_within_180_days"),
        ("mortality_from_random", "dead_within_45_days"),
        ("mortality_from_random", "dead_within_180_days"),
    ]
    of_45, of_180 = plan[0], plan[1]
    assert of_45.skip_because.startswith("training: 0 positive, 2 negative")
    assert "validation: 1 positive, 0 negative and 1 unlabeled" in of_180.skip_because


def test_horizon_with_dead_and_alive_runs_and_censored_can_count_as_alive(
    around: Surroundings, datalist: Path, weights: Path
) -> None:
    (item,) = mortality_finetunings(
        around,
        datalist=datalist,
        starts={"multi_task": {"pretrained_path": weights}},
        horizons_days=[180],
        seeds=[3],
        censored="alive",
        needs={"multi_task": "something"},
    )
    assert (item.skip_because, item.needs) == ("", "something")
    train, predict = item.steps
    wanted = {"--horizon_days=180", "--censored=alive", "--seed=3"}
    assert wanted | {f"--pretrained_path={weights}"} <= set(train.command)
    assert wanted | {"--experiment=mortality_from_multi_task"} <= set(predict.command)


def test_summary_codes_come_from_the_reports_or_are_missed(
    around: Surroundings, datalist: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputDataError, match=r"no label 'summary_code_abnormal'; add --cohort"):
        summary_code_training(around, work=tmp_path, cohort=None)
    (tmp_path / "reports.csv").touch()
    training, weights = summary_code_training(around, work=tmp_path, cohort=tmp_path)
    assert [step.name for step in training.steps] == ["datalist_summary_code", "train_summary_code"]
    assert weights == around.out / "summary_code" / "model.pt"
    assert f"--cohort {tmp_path}" in " ".join(training.steps[0].command)
