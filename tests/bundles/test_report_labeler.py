"""The report labeler learns phantom reports, labels them, and works wherever it lies."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from monai.bundle import ConfigWorkflow, verify_metadata
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from petct_ext.errors import InputDataError, find_own_error
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labeler.preparation import prepare_report_items
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import load_report_items
from petct_ext.tables.schemas import MENTIONS, read_table
from tests.conftest import REPOSITORY
from tests.forks import run_forked
from tests.reports.phantom_reports import write_phantom_reports

BUNDLE = REPOSITORY / "bundles" / "report_labeler"
CONFIGS = BUNDLE / "configs"
SHORT = {"epochs": 1, "mentions_per_epoch": 32}


def config(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())
    return document


def workflow(*names: str, kind: str, **options: Any) -> ConfigWorkflow:
    return ConfigWorkflow(
        config_file=[str(CONFIGS / f"{name}.json") for name in names],
        meta_file=str(CONFIGS / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        **options,
    )


def run(*names: str, kind: str = "train", **options: Any) -> None:
    steps = workflow(*names, kind=kind, **options)
    steps.initialize()
    steps.run()
    steps.finalize()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some sixty annotated phantom reports, prepared."""
    cohort, work = write_phantom_reports(tmp_path_factory.mktemp("reports"), num_patients=55)
    prepare_report_items(cohort, work, RegionOntology.default())
    return work


@pytest.fixture(scope="module")
def trained(work: Path) -> Path:
    torch.manual_seed(0)
    folder = work / "report_labeler"
    run(
        "train",
        "demo",
        dataset_dir=str(work / "private"),
        ckpt_dir=str(folder),
        output_dir=str(folder / "logs"),
    )
    return folder


@pytest.mark.slow
def test_demo_training_judges_held_out_mentions(work: Path, trained: Path) -> None:
    run(
        "train",
        "evaluate",
        dataset_dir=str(work / "private"),
        ckpt_dir=str(trained),
        output_dir=str(trained / "logs"),
    )
    scores = pd.read_csv(trained / "logs" / "mention_metrics.csv").set_index("labeler")["auroc"]
    assert scores["model"] >= 0.95
    assert scores["rules"] > 0.8


@pytest.mark.slow
def test_loss_of_every_step_reaches_tensorboard(trained: Path) -> None:
    events = EventAccumulator(str(trained / "logs"))
    events.Reload()
    losses = [event.value for event in events.Scalars("train_loss")]
    assert len(losses) > 20
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.slow
def test_inference_writes_every_mention_of_every_exam(work: Path, trained: Path) -> None:
    target = trained / "mentions.csv"
    run(
        "inference",
        kind="infer",
        dataset_dir=str(work / "private"),
        ckpt_dir=str(trained),
        mentions=str(target),
    )
    table = read_table(target, MENTIONS)
    items = load_report_items(work / "private" / "report_items.json", "all")
    assert len(table) == sum(len(item["mentions"]) for item in items)
    rows = ReportPredictor(trained).predict(items[:40])
    few = table.merge(
        pd.DataFrame(rows), on=["exam_id", "start", "end", "region"], suffixes=("", "_here")
    )
    assert len(few) == len(rows)
    assert (few["probability"] - few["probability_here"]).abs().max() < 1e-4


@pytest.mark.slow
def test_weights_of_another_vocabulary_are_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "model")
    settings = json.loads((tmp_path / "model/encoder/config.json").read_text())
    settings["vocab_size"] += 1
    (tmp_path / "model/encoder/config.json").write_text(json.dumps(settings))
    with pytest.raises(InputDataError, match=r"model\.pt does not fit"):
        ReportPredictor(tmp_path / "model")


def test_inference_without_a_model_is_refused(work: Path, tmp_path: Path) -> None:
    steps = workflow(
        "inference",
        kind="infer",
        dataset_dir=str(work / "private"),
        ckpt_dir=str(tmp_path),
        output_dir=str(tmp_path),
    )
    with pytest.raises(RuntimeError) as caught:
        steps.initialize()
    assert "encoder does not exist" in str(find_own_error(caught.value))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("configs", "kind"), [(("inference",), "infer"), (("train", "demo", "evaluate"), "train")]
)
def test_weights_are_checked_before_reports_are_read(
    configs: tuple[str, ...], kind: str, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "model")
    weights = tmp_path / "model" / "model.pt"
    state = torch.load(weights, weights_only=True)
    del state["classifier.bias"]
    for content, told in ((state, "does not fit the network: 1 of"), (None, "does not exist")):
        weights.unlink()
        if content is not None:
            torch.save(content, weights)
        steps = workflow(
            *configs, kind=kind, ckpt_dir=str(tmp_path / "model"), output_dir=str(tmp_path)
        )
        with pytest.raises(RuntimeError) as caught:
            steps.initialize()
        assert str(find_own_error(caught.value)).startswith(f"{weights} {told}")


@pytest.mark.slow
def test_command_line_refuses_truncated_weights_in_one_line(
    work: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "model")
    weights = tmp_path / "model" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:5000])
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file"]
    command += [str(CONFIGS / "inference.json"), f"--dataset_dir={work / 'private'}"]
    command += [f"--ckpt_dir={weights.parent}", f"--mentions={tmp_path / 'mentions.csv'}"]
    ended = run_forked(command, folder=REPOSITORY)
    assert ended.returncode == 2, ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    (line,) = re.findall(r"^error: (.*)$", ended.stderr, flags=re.MULTILINE)
    assert line.startswith(f"{weights} is no checkpoint, or is damaged (")
    assert not (tmp_path / "mentions.csv").exists()


@pytest.mark.parametrize("folder", [REPOSITORY, BUNDLE], ids=["repository", "bundle"])
def test_bundle_knows_its_root(
    folder: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    steps = ConfigWorkflow(
        config_file=str((CONFIGS / "train.json").relative_to(folder)),
        meta_file=str((CONFIGS / "metadata.json").relative_to(folder)),
        logging_file=False,
        workflow_type="train",
        dataset_dir=str(work / "private"),
        output_dir=str(tmp_path),
    )
    steps.initialize()
    assert Path(steps.parser.get_parsed_content("bundle_root")) == BUNDLE
    assert steps.check_properties() == []


@pytest.mark.slow
def test_copied_bundle_trains_by_the_command_line(work: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed"
    shutil.copytree(BUNDLE, copy, ignore=shutil.ignore_patterns("models", "logs"))
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file"]
    command += [f"['{copy}/configs/train.json','{copy}/configs/demo.json']"]
    command += [f"--{key}={value}" for key, value in SHORT.items()]
    command += [f"--dataset_dir={work / 'private'}"]
    ended = run_forked(command, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert re.search(r"train_loss: 0\.\d+", ended.stdout + ended.stderr)
    state = torch.load(copy / "models" / "model.pt", weights_only=True)
    assert "classifier.weight" in state
    assert (copy / "models" / "encoder" / "vocab.txt").is_file()


def test_token_ids_of_the_metadata_give_its_output(work: Path, tmp_path: Path) -> None:
    """The stand-in for verify_net_in_out, which cannot feed whole numbers."""
    data_format = config("metadata")["network_data_format"]
    assert data_format["inputs"]["token_ids"]["dtype"] == "int64"
    steps = workflow(
        "train",
        "demo",
        kind="train",
        dataset_dir=str(work / "private"),
        output_dir=str(tmp_path),
    )
    steps.initialize()
    network = steps.parser.get_parsed_content("network_def").eval()
    for shape in ((1, 1), (2, 9)):
        output = network(torch.randint(1, 40, shape))
        channels = data_format["outputs"]["pred"]["num_channels"]
        assert output.shape == (shape[0], channels, shape[1])
        assert output.dtype == torch.float32


def test_metadata_fits_the_schema_offline() -> None:
    verify_metadata(
        meta_file=str(CONFIGS / "metadata.json"), filepath=str(BUNDLE / "eval" / "schema.json")
    )
    metadata = config("metadata")
    assert metadata["version"] in metadata["changelog"]


def test_inference_sees_what_training_saw() -> None:
    train, inference = config("train"), config("inference")
    assert inference["preprocessing_transforms"] == train["train"]["preprocessing_transforms"]
    assert inference["max_length"] == train["max_length"]
    for config_ in (train, inference):
        config_["network_def"].pop("pretrained")
    assert inference["network_def"] == train["network_def"]
