"""Starting a network from weights that another one has learned."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from petct_ext.errors import InputDataError
from petct_ext.networks.region_classifier import RegionClassifier

__all__ = ["load_encoder"]

_LOGGER = logging.getLogger(__name__)
_PREFIX = "encoder."


def load_encoder(network: RegionClassifier, path: str | Path | None) -> int:
    """Copies the encoder of a trained scan model into a network; the heads stay random.

    Args:
        network: receives the weights, whatever its heads are.
        path: plain state dict of a :class:`RegionClassifier` (``models/model.pt``), loaded with
            ``weights_only=True``; None leaves the network as it is, and says so in the log.

    Returns:
        Number of tensors copied.

    Raises:
        InputDataError: if the file is missing, is no state dict, or its encoder differs in any
            tensor; names the first one.
    """
    if path is None:
        _LOGGER.info("pretrained_path is null: the encoder starts from random weights")
        return 0
    path = Path(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputDataError(
            f"{path} does not exist; train the scan model first or set pretrained_path to null."
        ) from None
    except Exception as error:
        raise InputDataError(f"{path} is no checkpoint ({type(error).__name__}).") from None
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise InputDataError(f"{path} is no plain state dict; give the model.pt of a scan model.")
    given = {k: v for k, v in loaded.items() if str(k).startswith(_PREFIX)}
    wanted = {_PREFIX + k: v for k, v in network.encoder.state_dict().items()}
    different = sorted(given.keys() ^ wanted.keys()) or [
        k for k in wanted if given[k].shape != wanted[k].shape
    ]
    if different:
        raise InputDataError(
            f"{path}: {len(different)} encoder tensor(s) do not fit, first {different[0]!r}; set "
            "network_def#width and network_def#last_stage as in the training of that file."
        )
    network.encoder.load_state_dict({k.removeprefix(_PREFIX): v for k, v in given.items()})
    _LOGGER.info("encoder: %d tensors copied from %s", len(given), path.name)
    return len(given)
