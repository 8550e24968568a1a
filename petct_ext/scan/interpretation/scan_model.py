"""A trained scan model with the exams that its bundle reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow
from monai.data import Dataset
from monai.transforms import Compose, EnsureTyped

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.keys import IMAGE
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.scan.networks.region_classifier import RegionClassifier

__all__ = ["ScanModel", "load_scan_model"]


@dataclass(frozen=True, slots=True)
class ScanModel:
    """A scan model with the exams that its bundle's inference configuration reads.

    Attributes:
        network: with trained weights, in evaluation mode.
        regions: names of its outputs.
        dataset: MONAI dataset; items carry ``image`` (2, X, Y, Z) and ``exam_id``.
        device: where the network runs.
    """

    network: RegionClassifier
    regions: list[str]
    dataset: Any
    device: torch.device


def load_scan_model(
    config: Sequence[Path], *, datalist: Path, checkpoint: Path, section: str = "test"
) -> ScanModel:
    """Builds the network and data of a bundle's inference configuration.

    Args:
        config: ``inference.json`` and files put on top of it.
        datalist: see :func:`petct_ext.scan.data.datalist.load_datalist`.
        checkpoint: plain state dict with its design, loaded with ``weights_only=True``.
        section: section of the datalist.

    Raises:
        InputDataError: if a file is missing, or the weights are damaged or do not fit the
                configuration.
    """
    for file in (*config, datalist, checkpoint):
        if not Path(file).is_file():
            raise InputDataError(f"{file} does not exist; check the path.")
    for file in config:
        read_json(file)  # MONAI would not say which file is broken
    workflow = ConfigWorkflow(
        config_file=[str(file) for file in config],
        logging_file=False,
        workflow_type="infer",
        datalist=str(datalist),
        section=section,
        ckpt_path=str(checkpoint),
    )
    parser = workflow.parser
    if "regions" not in parser:
        raise InputDataError(f"{config[0]} has no regions; give inference.json of a scan model.")
    network = parser.get_parsed_content("network")
    network.load_state_dict(check_weights(network, checkpoint))
    stored = parser.get_parsed_content("dataset")
    steps = [parser.get_parsed_content(key) for key in ("preprocessing", "device_preprocessing")]
    return ScanModel(
        network.eval(),
        list(parser.get_parsed_content("regions")),
        Dataset(stored.data, Compose([*steps, EnsureTyped(IMAGE, track_meta=False)])),
        parser.get_parsed_content("device"),
    )
