"""Comparing labelers and rebuilding the shipped one, at tiny size."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.conftest import REPOSITORY
from tests.scan.networks.tiny_encoder import write_tiny_encoder

SCRIPTS = REPOSITORY / "scripts"
TEXTS = [
    ("a", "Avid mass in the left lung.", "left lung", "left_lungs", 1),
    ("b", "No uptake in the liver.", "liver", "liver", 0),
    ("c", "Physiologic uptake in the bowel, avid liver mass.", "liver", "liver", 1),
] * 2


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    lines = []
    for number, (name, text, words, region, abnormal) in enumerate(TEXTS):
        start = text.index(words)
        mention = {"start": start, "end": start + len(words), "region": region}
        mention["abnormal"] = abnormal
        lines.append(json.dumps({"id": f"{name}{number}", "text": text, "mentions": [mention]}))
    path = tmp_path / "annotated.jsonl"
    path.write_text("\n".join(lines))
    return path


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")


def test_labelers_are_compared_and_errors_are_kept_private(
    annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--reports", annotated, "--out", tmp_path, "--without-model", "--draws", 20)
    run(monkeypatch, "compare_labelers.py", *options, "--errors")
    table = pd.read_csv(tmp_path / "labeler_comparison.csv").set_index(["labeler", "what"])
    assert table.loc[("regex", "mentions"), "sensitivity"] == 0.5
    assert table.loc[("rules", "mentions"), "auroc"] == 1.0
    errors = pd.read_csv(tmp_path / "private" / "labeler_errors.csv")
    assert errors["sentence"].str.contains("avid liver mass").all()


@pytest.mark.slow
def test_labeler_is_rebuilt_with_and_without_real_text(
    annotated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = write_tiny_encoder(tmp_path / "encoder")
    base = ("--quick", "--encoder", encoder)
    run(monkeypatch, "rebuild_labeler.py", *base, "--out", tmp_path / "a", "--real", "absent")
    assert "trained on the project's own text only" in capsys.readouterr().out
    folds = ("--real", annotated, "--cross-validate", tmp_path / "folds")
    run(monkeypatch, "rebuild_labeler.py", *base, "--out", tmp_path / "b", *folds)
    states = [torch.load(tmp_path / x / "model.pt", weights_only=True) for x in "ab"]
    assert states[0].keys() == states[1].keys()
    assert not torch.equal(states[0]["classifier.weight"], states[1]["classifier.weight"])
    table = pd.read_csv(tmp_path / "folds" / "labeler_comparison.csv")
    assert "model, cross-validated" in set(table["labeler"])
    options = ("--reports", annotated, "--out", tmp_path, "--model-dir", tmp_path / "b")
    run(monkeypatch, "compare_labelers.py", *options, "--draws", 0)
