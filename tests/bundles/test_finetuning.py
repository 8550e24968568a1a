"""Fine-tuning of regions, of summary codes and of mortality: configurations and scripts."""

from __future__ import annotations

import json
import logging
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from petct_ext.cohort.reader_labels import SUMMARY_CODE_TASK
from petct_ext.errors import InputDataError, find_own_error
from petct_ext.files import write_json
from petct_ext.ontology import RegionOntology
from petct_ext.scan.networks.design import stored_regions
from petct_ext.tables.schemas import PREDICTIONS, read_table
from tests.bundles.test_bundles import (  # noqa: F401 - datalist and scan_model are fixtures
    BUNDLES,
    TINY,
    TINY_TRAINING,
    datalist,
    read,
    run,
    scan_model,
    workflow,
)
from tests.conftest import REPOSITORY

MAIN = list(RegionOntology.default().main_regions())


@pytest.fixture(scope="module")
def cohort(datalist: Path) -> Path:  # noqa: F811
    """As the datalist, with labels of the pancreas and summary codes, and with follow-up.

    Of the two patients in each section one dies on day 100, the other is last seen on day 400.
    """
    document = json.loads(datalist.read_text())
    for section in ("training", "validation", "test"):
        for i, item in enumerate(document[section]):
            more = {"pancreas": float(i), "kidney": 0.0, SUMMARY_CODE_TASK: float(i)}
            item["labels"] = item["labels"] | more
            item |= {"time_days": 100 if i else 400, "event": i}
    return write_json(datalist.parent / "cohort.json", document)


def places(folder: Path, cohort: Path) -> dict[str, str]:
    return {"datalist": str(cohort), "ckpt_dir": str(folder), "output_dir": str(folder)}


def told_by(*configs: str, bundle: str = "scan_model", **options: Any) -> str:
    """Returns the error with which a training refuses to start."""
    with pytest.raises((RuntimeError, InputDataError)) as caught:
        run(BUNDLES / bundle, "train", "demo", *configs, **(TINY_TRAINING | options))
    return str(find_own_error(caught.value))


@pytest.mark.parametrize("name", ["finetune", "demo_finetune", "summary_code"])
def test_only_known_keys_are_changed_and_no_part_of_the_data_path(name: str) -> None:
    known, own = (
        read("scan_model", "train"),
        {"region", "source_regions", "abnormal_fraction", "start"},
    )
    keys = {key.removeprefix("+") for key in read("scan_model", name) if "_desc" not in key}
    assert keys - own - {"train#sampler"} <= set(known)
    assert not {key for key in keys if "transforms" in key or "collate" in key}


def test_multi_task_weights_are_not_written_over() -> None:
    kept = workflow(BUNDLES / "scan_model", "train", kind="train").parser
    for name, folder in (("finetune", "liver"), ("summary_code", "summary_code")):
        parser = workflow(BUNDLES / "scan_model", "train", name, kind="train").parser
        for key in ("ckpt_dir", "output_dir"):
            place, usual = parser.get_parsed_content(key), kept.get_parsed_content(key)
            assert place == f"{usual}/{folder}"


@pytest.mark.parametrize("region", ["pancreas", "liver"], ids=["new head", "copied head"])
def test_one_region_is_fine_tuned_from_the_scan_model(
    region: str,
    cohort: Path,
    scan_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    start = {"region": region, "pretrained_path": str(scan_model), "learning_rate": 0.0}
    options = TINY_TRAINING | start | places(tmp_path, cohort)
    run(BUNDLES / "scan_model", "train", "demo", "finetune", **options)
    source = torch.load(scan_model, weights_only=True)
    tuned = torch.load(tmp_path / "model.pt", weights_only=True)
    assert stored_regions(tuned) == [region]
    assert tuned["head.bias"].shape == (1,)
    name = next(k for k in source if k.startswith("encoder.") and k.endswith("weight"))
    torch.testing.assert_close(tuned[name], source[name])
    if region in MAIN:
        place = MAIN.index(region)
        torch.testing.assert_close(tuned["head.weight"][0], source["head.weight"][place])
    else:
        assert tuned["head.bias"].item() == pytest.approx(0.0)  # prevalence one half
    run(
        BUNDLES / "scan_model",
        "inference",
        kind="infer",
        **TINY,
        datalist=str(cohort),
        ckpt_path=str(tmp_path / "model.pt"),
        predictions=str(tmp_path / "predictions.csv"),
        regions=[region],
    )
    table = read_table(tmp_path / "predictions.csv", PREDICTIONS)
    assert table[["task", "exam_id"]].to_numpy().tolist() == [[region, "E20"], [region, "E21"]]


def test_fine_tuning_refuses_what_it_cannot_start_from(
    cohort: Path,
    scan_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    options = places(tmp_path, cohort) | {"pretrained_path": str(scan_model)}
    assert "Did you mean 'pancreas'" in told_by("finetune", **options, region="pancras")
    assert "add --pretrained_path" in told_by("finetune", **places(tmp_path, cohort))
    absent = {"pretrained_path": str(tmp_path / "absent.pt")}
    assert "absent.pt does not exist" in told_by("finetune", **(options | absent))
    both = options | {"kinetics_path": "flow.pth"}
    for bundle in ("scan_model", "mortality"):
        assert "a training has one start" in told_by(bundle=bundle, **both)
    assert "a training has one start" in told_by("finetune", **both)


def test_summary_codes_are_drawn_three_to_seven_and_start_a_mortality_model(
    cohort: Path,
    tmp_path: Path,
) -> None:
    options = TINY_TRAINING | places(tmp_path, cohort)
    steps = workflow(
        BUNDLES / "scan_model", "train", "demo", "summary_code", kind="train", **options
    )
    steps.initialize()
    assert steps.check_properties() == []
    assert steps.parser.get_parsed_content("abnormal_fraction") == 0.7
    weights = steps.parser.get_parsed_content("train#sampler").weights
    torch.testing.assert_close(weights, torch.tensor([0.3, 0.7], dtype=weights.dtype))
    steps.run()
    steps.finalize()
    assert stored_regions(torch.load(tmp_path / "model.pt", weights_only=True)) == [
        SUMMARY_CODE_TASK
    ]
    start = {"pretrained_path": str(tmp_path / "model.pt")}
    mortality = workflow(BUNDLES / "mortality", "train", "demo", kind="train", **options, **start)
    mortality.initialize()


def test_four_horizons_have_one_model_balanced_on_one_of_them(
    cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    horizons: dict[str, Any] = {"horizons_days": [45, 90, 180, 365], "horizon_days": 180}
    files = {"ckpt_path": str(tmp_path / "model.pt"), "section": "all"}
    with caplog.at_level(logging.INFO):
        run(
            BUNDLES / "mortality",
            *("train", "demo"),
            **TINY_TRAINING,
            **places(tmp_path, cohort),
            **horizons,
        )
    assert "dead_within_90_days, training: 2 patients, 0 dead, 2 alive, 0 censored" in caplog.text
    run(
        BUNDLES / "mortality",
        "inference",
        kind="infer",
        datalist=str(cohort),
        output_dir=str(tmp_path),
        **TINY,
        **files,
        **horizons,
    )
    table = read_table(tmp_path / "predictions.csv", PREDICTIONS)
    assert len(table) == 4 * 6
    assert table.groupby("task", sort=False)["target"].sum().to_dict() == {
        "dead_within_45_days": 0.0,
        "dead_within_90_days": 0.0,
        "dead_within_180_days": 3.0,
        "dead_within_365_days": 3.0,
    }


def test_horizon_that_cannot_be_balanced_is_told(cohort: Path, tmp_path: Path) -> None:
    options = places(tmp_path, cohort) | {"bundle": "mortality"}
    told = told_by(**options, horizon_days=45)
    assert told.startswith("of 2 training exams 0 are positive and 2 negative of 'dead_within_45")
    told = told_by(**options, horizon_days=60, horizons_days=[45, 180])
    assert "cannot be balanced on 'dead_within_60_days'" in told
    assert "expected one of unknown, alive" in told_by(**options, censored="dead")


def script(monkeypatch: pytest.MonkeyPatch, name: str, *options: object) -> int:
    """Runs a script in this process; what it starts has processes of its own."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
    with pytest.raises(SystemExit, match=r"^\d$") as ended:
        runpy.run_path(str(REPOSITORY / "scripts" / f"{name}.py"), run_name="__main__")
    return int(str(ended.value.code))


@pytest.fixture(scope="module")
def finished(cohort: Path, scan_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Work folder of a finished run, as far as the scripts look at it."""
    work = tmp_path_factory.mktemp("work")
    document = json.loads(cohort.read_text())
    for items in document.values():
        for item in items:
            item |= {key: str(cohort.parent / item[key]) for key in ("pet", "ct")}
    write_json(work / "datalist.json", document)
    write_json(work / "tiny.json", TINY_TRAINING)
    (work / "scan_model").mkdir()
    (work / "scan_model" / "model.pt").write_bytes(scan_model.read_bytes())
    return work


@pytest.mark.slow
def test_script_fine_tunes_regions_once_and_says_what_it_leaves_out(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--work", finished, "--profile", "demo", "--config", finished / "tiny.json"]
    assert script(monkeypatch, "finetune_regions", *options, "--regions", "pancreas", "kidney") == 0
    assert "2 trainings: 1 done, 1 skipped, 0 failed" in capsys.readouterr().out
    out = finished / "finetuning" / "regions"
    table = read_table(out / "predictions.csv", PREDICTIONS)
    assert set(table["experiment"]) == {"multi_task_then_single_task"}
    assert (len(table), set(table["task"]), set(table["seed"])) == (6, {"pancreas"}, {0})
    assert 'kidney,0,skipped,"training: 0 positive' in (out / "finetunings.csv").read_text()
    written = (out / "pancreas_seed0" / "model.pt").stat().st_mtime_ns
    assert script(monkeypatch, "finetune_regions", *options, "--regions", "pancreas") == 0
    assert capsys.readouterr().err.count("done before") == 2
    assert (out / "pancreas_seed0" / "model.pt").stat().st_mtime_ns == written
    assert script(monkeypatch, "finetune_regions", *options, "--regions", "pancras") == 2
    assert "Did you mean 'pancreas'" in capsys.readouterr().err


@pytest.mark.slow
def test_script_goes_on_after_a_failed_mortality_model(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Weights of another network are the start of the first model, which fails."""
    torch.save({"encoder.a": torch.ones(1)}, tmp_path / "other.pt")
    options = ["--work", finished, "--datalist", finished / "datalist.json", "--profile", "demo"]
    options += ["--config", finished / "tiny.json", "--horizons", 45, 180, "--out", tmp_path]
    starts = ["--starts", "multi_task", "scratch", "--weights", tmp_path / "other.pt"]
    assert script(monkeypatch, "finetune_mortality", *options, *starts) == 3
    assert "4 trainings: 1 done, 2 skipped, 1 failed" in capsys.readouterr().out
    table = read_table(tmp_path / "predictions.csv", PREDICTIONS)
    assert set(table["experiment"]) == {"mortality_from_random"}
    assert set(table["task"]) == {"dead_within_180_days"}
    assert set(table["target_kind"]) == {"outcome"}
    told = (tmp_path / "finetunings.csv").read_text()
    assert "other.pt does not say what network its weights are of" in told
    assert "training: 0 positive, 2 negative and 0 unlabeled exams" in told


@pytest.mark.parametrize("place", ["repository", "bundle", "copy"])
def test_mortality_bundle_predicts_wherever_it_lies(
    place: str,
    cohort: Path,
    scan_model: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Paths that are not given are below the bundle; the copy has weights and data there."""
    configs, where = Path("bundles/mortality/configs"), REPOSITORY
    weights, target = tmp_path / "weights", tmp_path / "eval"
    train = places(weights, cohort) | {"pretrained_path": str(scan_model)}
    run(BUNDLES / "mortality", "train", "demo", **TINY_TRAINING, **train)
    options = {
        "ckpt_path": str(weights / "model.pt"),
        "datalist": str(cohort),
        "output_dir": str(target),
    }
    if place == "bundle":
        configs, where = Path("configs"), BUNDLES / "mortality"
    elif place == "copy":
        configs, where, options = Path("renamed/configs"), tmp_path, {}
        shutil.copytree(BUNDLES / "mortality" / "configs", tmp_path / "renamed" / "configs")
        shutil.copytree(cohort.parent, tmp_path / "renamed" / "data")
        shutil.copy(cohort, tmp_path / "renamed" / "data" / "datalist.json")
        shutil.copytree(weights, tmp_path / "renamed" / "models")
        target = tmp_path / "renamed" / "eval"
    monkeypatch.chdir(where)
    run(configs.parent, "inference", kind="infer", **TINY, **options)
    assert len(read_table(target / "predictions.csv", PREDICTIONS)) == 2


def test_only_the_first_process_of_a_mortality_training_writes_for_people() -> None:
    """The names of handlers in the file must be those of train.json."""
    train, on_top = read("mortality", "train"), read("mortality", "multi_gpu_train")
    expected = {
        f"{part}#named_handlers#{name}#_disabled_"
        for part in ("train", "validate")
        for name, handler in train[part]["named_handlers"].items()
        if "_target_" in handler and handler["_target_"].endswith(("StatsHandler", "ProgressBar"))
    }
    assert {key for key in on_top if key.endswith("_disabled_")} == expected
    assert {k: v for k, v in on_top.items() if "handlers" not in k and k != "_desc_"} == {
        k: v
        for k, v in read("scan_model", "multi_gpu_train").items()
        if "handlers" not in k and k != "_desc_"
    }


def test_mortality_model_ranks_the_patients_of_whom_a_hot_lesion_kills(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    document: dict[str, list[dict[str, Any]]] = {}
    for section, number in (("training", 16), ("validation", 8), ("test", 12)):
        document[section] = []
        for i in range(number):
            exam, dies = f"{section}{i}", i % 2
            pet = rng.gamma(2.0, 0.5, (32, 32, 10))
            x, y = rng.integers(8, 18, 2)
            pet[x : x + 6, y : y + 6, 3:7] += 8.0 * dies
            for key, volume in (("pet", pet), ("ct", rng.normal(0.0, 50.0, pet.shape))):
                image = nib.Nifti1Image(volume.astype(np.float32), np.diag([12.0, 12.0, 11.0, 1.0]))
                nib.save(image, tmp_path / f"{exam}_{key}.nii")
            files = {key: f"{exam}_{key}.nii" for key in ("pet", "ct")}
            follow_up = {"time_days": 60 if dies else 900, "event": dies}
            document[section].append({"exam_id": exam, "patient_id": exam} | files | follow_up)
    lists = write_json(tmp_path / "list.json", document)
    options = TINY_TRAINING | places(tmp_path, lists)
    options |= {"epochs": 2, "exams_per_epoch": 32, "crop_in_plane": 32, "val_interval": 1}
    run(BUNDLES / "mortality", "train", "demo", **options)
    configs = ("train", "demo", "evaluate")
    run(BUNDLES / "mortality", *configs, **TINY_TRAINING, **places(tmp_path, lists))
    name, value = (tmp_path / "metrics.csv").read_text().strip().split(",")
    assert name == "val_mean_auroc"
    assert float(value) > 0.9


def test_scripts_say_what_is_missing(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, option, told in (
        ("finetune_regions", "--weights", "absent.pt does not exist"),
        ("finetune_mortality", "--weights", "absent.pt does not exist"),
        ("finetune_mortality", "--kinetics", "absent.pt does not exist"),
        ("finetune_mortality", "--datalist", "absent.pt does not exist"),
    ):
        options = ["--work", finished, option, finished / "absent.pt"]
        assert script(monkeypatch, name, *options) == 2
        assert told in capsys.readouterr().err
