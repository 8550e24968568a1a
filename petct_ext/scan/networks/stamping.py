"""Gives weights a design: those of before files said what network they are of."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.scan.networks.region_names import copy_metadata
from petct_ext.training.checkpoints import write_checkpoint

__all__ = ["stamp_design"]


def stamp_design(network: nn.Module, weights: str | Path, out: str | Path) -> Path:
    """Writes weights with the design of a network; the tensors stay as they are, bit for bit.

    Nothing in the tensors tells windows and grid, so that the network has to be the one of the
    training's own configuration.

    Args:
        network: of the ``network`` of a ``train.json`` with all files of the training on top, see
            :func:`petct_ext.scan.networks.design.note_design`.
        weights: see :func:`petct_ext.scan.networks.pretrained.check_weights`. A design that they
            have is replaced, e.g. after a class was renamed.
        out: file to write, in one step; may be the same.

    Returns:
        ``out``.

    Raises:
        InputDataError: if the network has no design, or the weights do not fit it, or say something
            else.
        OutputError: if the file cannot be written.
    """
    if not hasattr(network, "seen"):
        raise InputDataError(
            "the network says nothing of windows and grid; give the train.json of a bundle."
        )
    stamped: OrderedDict[str, Tensor] = OrderedDict(check_weights(network, weights))
    copy_metadata(network.state_dict(), stamped)
    write_checkpoint(stamped, out)
    return Path(out)
