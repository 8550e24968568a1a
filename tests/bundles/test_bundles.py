"""The scan model and the mortality bundle are complete, agree with themselves, and run."""

from __future__ import annotations

import importlib
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out

import petct_ext
from petct_ext.errors import InputDataError, find_own_error
from petct_ext.files import write_json
from petct_ext.ontology import RegionOntology
from petct_ext.scan.networks.design import note_design
from petct_ext.tables.schemas import PREDICTIONS, read_table
from tests.conftest import REPOSITORY
from tests.forks import run_forked
from tests.scan.networks.region_networks import GRID, WINDOWS, region_classifier

BUNDLES = REPOSITORY / "bundles"
NAMES = ("scan_model", "mortality")
OUTPUTS = {"scan_model": "regions", "mortality": "tasks"}
TASK = "dead_within_180_days"
WIDTH: dict[str, Any] = {"network_def#encoder#width": 0.0625}
TINY: dict[str, Any] = WIDTH | {
    "num_workers": 0,
    "cache_rate": 0.0,
    "batch_size": 2,
    "in_plane": 32,
}
TINY_TRAINING: dict[str, Any] = TINY | {
    "epochs": 1,
    "exams_per_epoch": 2,
    "crop_in_plane": 30,
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(name: str, config: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (BUNDLES / name / "configs" / f"{config}.json").read_text()
    )
    return document


def config_files(folder: Path, *configs: str) -> list[str]:
    return [str(folder / "configs" / f"{config}.json") for config in configs]


def workflow(folder: Path, *configs: str, kind: str, **options: Any) -> ConfigWorkflow:
    return ConfigWorkflow(
        config_file=config_files(folder, *configs),
        meta_file=str(folder / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        **options,
    )


def run(folder: Path, *configs: str, kind: str = "train", **options: Any) -> None:
    steps = workflow(folder, *configs, kind=kind, **options)
    steps.initialize()
    assert steps.check_properties() == []
    steps.run()
    steps.finalize()


def targets(config: object) -> Iterator[str]:
    """Yields every ``_target_`` in a configuration."""
    if isinstance(config, dict):
        if "_target_" in config:
            yield config["_target_"]
        for child in config.values():
            yield from targets(child)
    elif isinstance(config, list):
        for child in config:
            yield from targets(child)


@pytest.fixture(scope="module")
def datalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exams per section, 32 x 32 x Z voxels with another Z each; the liver of one is hot."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    regions = RegionOntology.default().main_regions()
    document: dict[str, list[dict[str, Any]]] = {}
    for number, section in enumerate(("training", "validation", "test")):
        document[section] = []
        for abnormal in (0, 1):
            exam = f"E{number}{abnormal}"
            size = (32, 32, 9 + 4 * number + abnormal)
            pet = rng.gamma(2.0, 0.5, size).astype(np.float32)
            pet[18:24, 10:16, 3:6] += 8.0 * abnormal
            ct = rng.normal(0.0, 50.0, size).astype(np.float32)
            for key, array in (("pet", pet), ("ct", ct)):
                image = nib.Nifti1Image(array, np.diag([12.0, 12.0, 11.0, 1.0]))
                nib.save(image, folder / f"{exam}_{key}.nii")
            labels: dict[str, float | None] = dict.fromkeys(regions, float(abnormal))
            labels |= {TASK: float(abnormal), "mouth": None if abnormal else 0.0}
            document[section].append(
                {
                    "exam_id": exam,
                    "patient_id": f"P{number}{abnormal}",
                    "pet": f"{exam}_pet.nii",
                    "ct": f"{exam}_ct.nii",
                    "labels": labels,
                }
            )
    return write_json(folder / "datalist.json", document)


@pytest.fixture(scope="module")
def scan_model(datalist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a scan model after one tiny epoch, trained with the demo's sizes on top."""
    folder = tmp_path_factory.mktemp("scan_model")
    places = {"datalist": str(datalist), "ckpt_dir": str(folder), "output_dir": str(folder)}
    run(BUNDLES / "scan_model", "train", "demo", **TINY_TRAINING, **places)
    return folder / "model.pt"


def outputs_of(name: str) -> list[str]:
    output = read(name, "metadata")["network_data_format"]["outputs"]["pred"]
    return list(output["channel_def"].values())


@pytest.fixture
def weights(name: str, tmp_path: Path) -> Path:
    """Untrained weights of a small network, with the design of the demo."""
    outputs = outputs_of(name)
    sizes = {"width": 0.0625, "last_stage": "mixed_4b", "num_heads": 4, "num_frequencies": 3}
    network = region_classifier(2, len(outputs), **sizes, regions=outputs)
    torch.save(note_design(network, windows=WINDOWS, grid=GRID).state_dict(), tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.mark.parametrize("config", ["train", "inference", "evaluate", "demo", "finetune"])
def test_targets_of_this_package_exist_and_none_lives_in_scripts(name: str, config: str) -> None:
    for target in targets(read(name, config)):
        module, _, attribute = target.rpartition(".")
        assert module.partition(".")[0] != "scripts"
        if module.partition(".")[0] == "petct_ext":
            assert hasattr(importlib.import_module(module), attribute), target


def test_inference_sees_what_training_saw(name: str) -> None:
    train, inference = read(name, "train"), read(name, "inference")
    for key in ("preprocessing_transforms", "device_transforms"):
        assert inference[key] == train["train"][key], key
    assert inference["bundle_root"] == train["bundle_root"]


@pytest.mark.parametrize("config", ["train", "inference"])
def test_every_import_brings_one_name(name: str, config: str) -> None:
    """MONAI ignores ``import a, b``, with no more than a warning."""
    assert not [line for line in read(name, config)["imports"] if "," in line]


def test_demo_changes_only_what_exists(name: str) -> None:
    """A misspelled key would be added and do nothing."""
    for top, below in (("demo", "train"), ("evaluate", "train")):
        known = read(name, below)
        for key in read(name, top):
            if key not in ("_desc_", "section", "ckpt_path", "design", "trained_horizons"):
                place: Any = known
                for part in key.split("#"):
                    place = dict(enumerate(place)) if isinstance(place, list) else place
                    step = int(part) if part.isdigit() else part
                    assert step in place, (top, key)
                    place = place[step]


def test_metadata_is_true(name: str) -> None:
    metadata = read(name, "metadata")
    data_format = metadata["network_data_format"]
    output = data_format["outputs"]["pred"]
    known = {
        "scan_model": list(RegionOntology.default().main_regions()),
        "mortality": [TASK],
    }[name]
    parser = workflow(BUNDLES / name, "train", kind="train").parser
    assert parser.get_parsed_content(OUTPUTS[name]) == known
    assert list(output["channel_def"]) == [str(i) for i in range(len(known))]
    assert list(output["channel_def"].values()) == known
    assert output["num_channels"] == len(known)
    image = data_format["inputs"]["image"]
    assert image["channel_def"] == {"0": "PET", "1": "CT"}
    assert image["num_channels"] == read(name, "train")["network_def"]["in_channels"] == 2
    assert metadata["version"] in metadata["changelog"]
    assert metadata["required_packages_version"]["petct_ext"] == petct_ext.__version__
    train = read(name, "train")
    top, unit = train["pet_range_suv"][1], train["pet_unit_suv"]
    assert f"SUVbw (0 to {top:.0f} g/mL) / {unit:g} " in metadata["image_classes"]
    assert image["value_range"] == [0, math.ceil(top / unit)]


def test_metadata_fits_the_schema_offline(name: str) -> None:
    folder = BUNDLES / name
    verify_metadata(
        meta_file=str(folder / "configs" / "metadata.json"),
        filepath=str(folder / "eval" / "schema.json"),
    )


@pytest.mark.parametrize("num_slices", [1, 16])
def test_network_has_the_inputs_and_outputs_of_the_metadata(
    name: str, num_slices: int, weights: Path
) -> None:
    """The scan model's weights ship with it."""
    own: dict[str, Any] = {"ckpt_path": str(weights)} if name == "mortality" else {}
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(BUNDLES / name / "configs" / "metadata.json"),
        config_file=config_files(BUNDLES / name, "inference"),
        device="cpu",
        any=num_slices,
        **own,
    )


def test_evaluation_scores_the_saved_weights(
    datalist: Path, scan_model: Path, tmp_path: Path
) -> None:
    places = {"ckpt_dir": str(scan_model.parent), "output_dir": str(tmp_path)}
    configs = ("train", "demo", "evaluate")
    run(BUNDLES / "scan_model", *configs, datalist=str(datalist), **TINY_TRAINING, **places)
    assert "val_mean_auroc" in (tmp_path / "metrics.csv").read_text()


def test_mortality_starts_from_the_scan_model_and_predicts(
    datalist: Path, scan_model: Path, tmp_path: Path
) -> None:
    places = {"datalist": str(datalist), "output_dir": str(tmp_path)}
    options = TINY_TRAINING | {"pretrained_path": str(scan_model), "ckpt_dir": str(tmp_path)}
    steps = workflow(BUNDLES / "mortality", "train", "demo", kind="train", **options, **places)
    steps.initialize()
    assert steps.check_properties() == []
    saved = torch.load(scan_model, weights_only=True)
    for key, value in steps.parser.get_parsed_content("network").encoder.state_dict().items():
        torch.testing.assert_close(value.cpu(), saved[f"encoder.{key}"])
    steps.run()
    steps.finalize()
    run(
        BUNDLES / "mortality",
        "inference",
        kind="infer",
        ckpt_path=str(tmp_path / "model.pt"),
        **TINY,
        **places,
    )
    table = read_table(tmp_path / "predictions.csv", PREDICTIONS)
    assert table[["exam_id", "task", "target"]].to_numpy().tolist() == [
        ["E20", TASK, 0.0],
        ["E21", TASK, 1.0],
    ]
    assert set(table["target_kind"]) == {"outcome"}


def test_other_horizon_is_another_task() -> None:
    parser = workflow(BUNDLES / "mortality", "train", kind="train", horizon_days=90).parser
    assert parser.get_parsed_content("tasks") == ["dead_within_90_days"]


def test_weights_of_another_width_do_not_start_a_mortality_model(scan_model: Path) -> None:
    options = TINY_TRAINING | {
        "network_def#encoder#width": 0.125,
        "pretrained_path": str(scan_model),
    }
    steps = workflow(BUNDLES / "mortality", "train", "demo", kind="train", **options)
    with pytest.raises((RuntimeError, InputDataError)) as caught:
        steps.initialize()
    assert str(find_own_error(caught.value)).startswith(f"the encoder of {scan_model} does not fit")


def test_exports_as_torchscript(scan_model: Path, tmp_path: Path) -> None:
    ckpt_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(scan_model),
        meta_file=str(BUNDLES / "scan_model" / "configs" / "metadata.json"),
        config_file=config_files(BUNDLES / "scan_model", "inference"),
        key_in_ckpt="",
        ckpt_path=str(scan_model),
    )
    exported = torch.jit.load(str(tmp_path / "model.ts"))
    assert exported(torch.rand(1, 2, 40, 33, 5)).shape == (1, 26)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["repository", "bundle", "copy"])
def test_command_line_works_wherever_the_bundle_lies(
    place: str, datalist: Path, scan_model: Path, tmp_path: Path
) -> None:
    """Paths that are not given are below the bundle; the copy has weights and data there."""
    folder, configs = BUNDLES / "scan_model", "bundles/scan_model/configs"
    where = REPOSITORY
    options = [f"--ckpt_path={scan_model}", f"--datalist={datalist}", f"--output_dir={tmp_path}"]
    if place == "bundle":
        where, configs = folder, "configs"
    elif place == "copy":
        where, configs = tmp_path, "renamed/configs"
        shutil.copytree(folder / "configs", tmp_path / "renamed" / "configs")
        shutil.copytree(datalist.parent, tmp_path / "renamed" / "data")
        (tmp_path / "renamed" / "models").mkdir()
        shutil.copy(scan_model, tmp_path / "renamed" / "models")
        options = []
    options += [f"--{key}={value}" for key, value in TINY.items()]
    told = command(where, configs, *options, fresh=place == "repository")
    assert told.returncode == 0, told.stderr[-2000:]
    target = tmp_path / "renamed" / "eval" if place == "copy" else tmp_path
    assert len(read_table(target / "predictions.csv", PREDICTIONS)) == 2 * 26


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "truncated"])
@pytest.mark.parametrize(
    ("configs", "kind"),
    [(("inference",), "infer"), (("train", "demo", "evaluate"), "train")],
)
def test_weights_are_checked_before_data_are_read(
    name: str, configs: tuple[str, ...], kind: str, missing: bool, scan_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    if not missing:
        path.write_bytes(scan_model.read_bytes()[:5000])
    steps = workflow(BUNDLES / name, *configs, kind=kind, ckpt_path=str(path), **TINY)
    with pytest.raises(RuntimeError) as caught:
        steps.initialize()
    told = str(find_own_error(caught.value))
    assert told.startswith(f"{path} {'does not exist' if missing else 'is no checkpoint'}")


def test_regions_of_another_list_do_not_fit_the_weights(scan_model: Path) -> None:
    configs, options = ("train", "demo", "evaluate"), TINY | {"regions": ["liver", "spine"]}
    steps = workflow(
        BUNDLES / "scan_model", *configs, kind="train", ckpt_path=str(scan_model), **options
    )
    with pytest.raises(RuntimeError) as caught:
        steps.initialize()
    told = str(find_own_error(caught.value))
    assert told.startswith(f"{scan_model} holds weights of other regions (with full and head_neck")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bundle", "told"),
    [
        ("scan_model", r"{path} was trained with encoder\.width 0\.0625 \(not 0\.125\); leave"),
        ("mortality", r"{path} is no checkpoint, or is damaged \("),
    ],
    ids=["width", "truncated"],
)
def test_command_line_refuses_other_weights_in_one_line(
    bundle: str, told: str, datalist: Path, scan_model: Path, tmp_path: Path
) -> None:
    """The scan model's are of another width, those of the mortality model are cut short."""
    path = scan_model
    if bundle == "mortality":
        path = tmp_path / "model.pt"
        path.write_bytes(scan_model.read_bytes()[:5000])
    ended = command(
        REPOSITORY,
        f"bundles/{bundle}/configs",
        f"--ckpt_path={path}",
        f"--datalist={datalist}",
        f"--output_dir={tmp_path / 'eval'}",
        "--network_def#encoder#width=0.125",
    )
    assert ended.returncode == 2, ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    (line,) = re.findall(r"^error: (.*)$", ended.stderr, flags=re.MULTILINE)
    assert re.match(told.format(path=re.escape(str(path))), line)
    assert not (tmp_path / "eval").exists()


def command(
    where: Path, configs: str, *options: str, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    config = f"--config_file={configs}/inference.json"
    command = [sys.executable, "-m", "monai.bundle", "run", config, *options]
    if not fresh:
        return run_forked(command, folder=where)
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
