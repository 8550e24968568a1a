"""What is wrong with data or settings is told in one line, at the door or with the exam."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from petct_ext.errors import find_own_error
from petct_ext.files import write_json
from tests.bundles.test_bundles import (  # noqa: F401 - datalist is a fixture
    BUNDLES,
    TINY_TRAINING,
    config_files,
    datalist,
    workflow,
)
from tests.forks import run_forked


def failure(datalist: Path, folder: Path, **options: Any) -> str:  # noqa: F811
    """Trains the scan model and returns what went wrong in our words."""
    places = {"datalist": str(datalist), "ckpt_dir": str(folder), "output_dir": str(folder)}
    options = TINY_TRAINING | places | {"num_workers": 1} | options
    steps = workflow(BUNDLES / "scan_model", "train", "demo", kind="train", **options)
    try:
        steps.initialize()
        steps.run()
    except Exception as error:  # MONAI and Ignite raise their own around ours
        told = str(find_own_error(error))
        assert "\n" not in told
        return told
    raise AssertionError("nothing was refused")


def changed(datalist: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:  # noqa: F811
    """Writes the datalist with another first training exam, beside the volumes of the others."""
    document = json.loads(datalist.read_text())
    for items in document.values():
        for item in items:
            item |= {key: str(datalist.parent / item[key]) for key in ("pet", "ct")}
    change(document["training"][0])
    return write_json(folder / "datalist.json", document)


def short(item: dict[str, Any], folder: Path) -> None:
    for key in ("pet", "ct"):
        image = nib.Nifti1Image(np.ones((32, 32, 5), np.float32), np.diag([12.0, 12.0, 11.0, 1.0]))
        nib.save(image, folder / f"{key}.nii")
        item[key] = str(folder / f"{key}.nii")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"regions": ["livr"]},
            r"regions of the configuration: 'livr' is no region of regions\.json",
        ),
        ({"regions": ["liver", "liver"]}, r"'liver' is there twice"),
        (
            {"network_def#in_channels": 3},
            r"exam E0\d: its image has 2 channels, but the network takes 3",
        ),
        ({"labels": "hybrids"}, r"labels is 'hybrids'.*Did you mean 'hybrid'"),
        ({"labels": "hand"}, r"datalist\.json: no exam has hand labels"),
        ({"in_plane": 48}, r"exam E0\d: it has 32 x 32 voxels in-plane, .* expects 48 x 48"),
        ({"epochs": 0}, r"epochs is 0; it must be a whole number"),
        ({"network_def#pooling": "max"}, r"pooling is 'max'; known are attention, sum, mean"),
        ({"network_def#channels": [5]}, r"channels is \[5\], expected some of \[0, 1\]"),
        ({"min_slices": 16}, r"exam E0\d: it has \d+ slices; at least 16 are needed"),
    ],
    ids=[
        *("region", "twice", "channels", "labels", "no-hand"),
        *("in-plane", "epochs", "pooling", "modality", "slices"),
    ],
)
def test_settings(
    options: dict[str, Any],
    told: str,
    datalist: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    assert re.search(told, failure(datalist, tmp_path, **options))


def test_exam_with_too_few_slices_is_named(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    path = changed(datalist, tmp_path, lambda item: short(item, tmp_path))
    told = failure(path, tmp_path, exams_per_epoch=8)
    assert told.startswith("exam E00: it has 5 slices; at least 8 are needed (min_slices")


def test_label_outside_0_and_1_is_named_with_exam_and_region(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    path = changed(datalist, tmp_path, lambda item: item["labels"].update(liver=1.5))
    told = failure(path, tmp_path)
    assert re.search(
        r"exam 'E00' has labels that are not probabilities: \{'liver': 1\.5\}; give", told
    )


def test_validation_exam_that_breaks_the_network_is_named(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    """NaN would count as the highest score."""
    told = failure(datalist, tmp_path, learning_rate=1e30, batch_size=1, exams_per_epoch=1)
    assert re.search(
        r"exam E1\d: the network returned values that are not finite; .* diverged", told
    )
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.slow
def test_command_line_says_one_line_and_nothing_else(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    """Ignite and MONAI log an error on its way up, each with a traceback."""
    configs = ",".join(f"'{f}'" for f in config_files(BUNDLES / "scan_model", "train", "demo"))
    options = TINY_TRAINING | {"datalist": datalist, "ckpt_dir": tmp_path, "output_dir": tmp_path}
    command = [
        sys.executable,
        "-m",
        "monai.bundle",
        "run",
        "training",
        f"--config_file=[{configs}]",
    ]
    for wrong, told in (
        ({"learn_rate": 1}, "error: --learn_rate is no setting of train.json, demo.json. Did you"),
        ({"network_def#in_channels": 3}, "error: exam E0"),
    ):
        given = [f"--{name}={value}" for name, value in (options | wrong).items()]
        done = run_forked([*command, *given])
        assert done.returncode == 2
        assert "Traceback" not in done.stdout + done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith(told)
