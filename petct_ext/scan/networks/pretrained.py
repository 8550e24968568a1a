"""Weights that another training has written: checked before anything slow begins, and reused."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.files import require_file
from petct_ext.scan.networks.design import (
    find_other_design,
    find_other_regions,
    metadata_of,
    regions_remedy,
    stored_regions,
    without_design,
)
from petct_ext.scan.networks.kinetics import load_kinetics
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.training.checkpoints import read_checkpoint

__all__ = ["check_weights", "load_encoder", "load_regions", "load_start"]

_LOGGER = logging.getLogger(__name__)
_PREFIX = "encoder."
_HEAD = "head."
_WRAPPER = "model"
_COPY = "copy it again or train anew"
_ON_TOP = "leave the setting away and put configs/finetune.json on top, which takes it from there"
_NUM_NAMED = 3


def check_weights(network: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """Reads the weights of a network and refuses those that are not its own.

    The bundles call it before they read data: MONAI's ``CheckpointLoader``, which its zoo expects,
    loads the same file when an engine starts, but its errors are long and name no way out.

    Args:
        network: what the weights are for; not changed.
        path: state dict, plain or as entry ``model`` of a checkpoint; read with
            ``weights_only=True``.

    Returns:
        The state dict on the CPU, every tensor with name and shape as in ``network``.

    Raises:
        InputDataError: if the file is missing, damaged or no state dict, holds values that are not
            finite, differs from the network in any tensor (names the first ones), belongs to
            other regions or another order of them, or was trained with other options, windows or
            grid. Files that do not name their regions are accepted, with a warning in the log.
    """
    path = Path(require_file(path))
    loaded = read_checkpoint(path, remedy=_COPY)
    if isinstance(loaded, Mapping):
        loaded = loaded.get(_WRAPPER, loaded)
    given = _require_state_dict(loaded, path)
    _require_same_regions(loaded, network, path)
    _require_same(
        given,
        network.state_dict(),
        f"{path} does not fit the network",
        "set network_def (for a report labeler also encoder) as in the training of that file, "
        "or give the weights of a network with these settings",
    )
    _require_same_design(loaded, network, path)
    return given


def load_encoder(network: RegionClassifier, path: str | Path | None) -> int:
    """Copies the encoder of a trained scan model into a network; the heads stay random.

    Args:
        network: receives the weights, whatever its heads are.
        path: plain state dict of a :class:`RegionClassifier` (``models/model.pt``), loaded with
            ``weights_only=True``; None leaves the network as it is, and says so in the log.

    Returns:
        Number of tensors copied.

    Raises:
        InputDataError: if the file is missing, damaged or no state dict, holds values that are not
            finite, its encoder differs in any tensor (names the first ones), or it was trained with
            other options of the encoder, other windows or another grid than the network is noted
            for (:func:`petct_ext.scan.networks.design.note_design`), or says nothing of them.
    """
    if path is None:
        _LOGGER.info("pretrained_path is null: the encoder starts from random weights")
        return 0
    path = Path(path)
    if not path.exists():
        raise InputDataError(
            f"{path} does not exist; train the scan model first or set pretrained_path to null."
        )
    loaded = read_checkpoint(path, remedy=_COPY)
    state = _require_state_dict(loaded, path)
    given = {k: v for k, v in state.items() if k.startswith(_PREFIX)}
    wanted = {_PREFIX + k: v for k, v in network.encoder.state_dict().items()}
    _require_same(
        given,
        wanted,
        f"the encoder of {path} does not fit",
        f"set network_def#encoder as in the training of that file, or {_ON_TOP}",
    )
    _require_start(loaded, network, path)
    network.encoder.load_state_dict({k.removeprefix(_PREFIX): v for k, v in given.items()})
    _LOGGER.info("encoder: %d tensors copied from %s", len(given), path.name)
    return len(given)


def load_start(
    network: RegionClassifier,
    *,
    pretrained_path: str | Path | None,
    kinetics_path: str | Path | None,
) -> int:
    """Copies the encoder from where a training starts; the heads stay random.

    Args:
        network: receives the weights.
        pretrained_path: ``model.pt`` of a trained scan model, be it of many regions or of one
            task, see :func:`load_encoder`; or None.
        kinetics_path: published weights, see
            :func:`petct_ext.scan.networks.kinetics.load_kinetics`; or None. With neither of the two
            the network stays random, and the log says so.

    Returns:
        Number of tensors copied.

    Raises:
        InputDataError: if both are given, or a file does not fit.
    """
    if pretrained_path is not None and kinetics_path is not None:
        raise InputDataError(
            f"pretrained_path ({pretrained_path}) and kinetics_path ({kinetics_path}) are both "
            "given, but a training has one start; set one of them to null."
        )
    if kinetics_path is not None:
        return load_kinetics(network, kinetics_path)
    return load_encoder(network, pretrained_path)


def load_regions(
    network: RegionClassifier,
    path: str | Path | None,
    *,
    regions: Sequence[str],
    source_regions: Sequence[str] = (),
    labels: Iterable[ArrayLike] | None = None,
) -> list[str]:
    """Copies the encoder of a trained scan model, and the heads of the regions that it knows.

    As the authors' published code does, which loads all tensors of the same name: a region of the
    multi-task model goes on from its head, a new region starts with a new one.

    Args:
        network: receives the weights; has one output for each of ``regions``.
        path: ``model.pt`` of the multi-task scan model.
        regions: regions of ``network``, in order.
        source_regions: regions of the file, in order; used only if it does not name them itself.
        labels: of the training exams, each of shape (R,), NaN if unknown: new heads start at the
            prevalence of their region. None leaves them as they are.

    Returns:
        The regions whose head is new.

    Raises:
        InputDataError: if there is no path, the file does not fit, or it has not as many outputs as
            regions are named.
    """
    if path is None:
        raise InputDataError(
            "pretrained_path is null, but fine-tuning starts from a trained scan model; add "
            "--pretrained_path PATH/model.pt."
        )
    load_encoder(network, path)
    loaded = read_checkpoint(path, remedy=_COPY)
    _require_same_design(loaded, network, Path(path), "pooling")
    given = {k: v for k, v in loaded.items() if k.startswith(_HEAD)}
    names = stored_regions(loaded) or list(source_regions)
    num_outputs = len(loaded.get(f"{_HEAD}bias", ()))
    if len(names) != num_outputs:
        raise InputDataError(
            f"{path} has {num_outputs} outputs, but source_regions names {len(names)}; list the "
            "regions of the training that wrote it, in its order."
        )
    if labels is not None:
        network.start_at_prevalence(labels)
    known = [region for region in regions if region in names]
    if known:
        _copy_heads(
            network, given, pairs=[(regions.index(r), names.index(r)) for r in known], path=path
        )
    new = [region for region in regions if region not in names]
    _LOGGER.info("heads copied: %s; new: %s", ", ".join(known) or "none", ", ".join(new) or "none")
    return new


def _copy_heads(
    network: RegionClassifier,
    given: Mapping[str, Tensor],
    *,
    pairs: Sequence[tuple[int, int]],
    path: str | Path,
) -> None:
    """Copies heads, of which a pair gives the place in the network and in the file."""
    own = {_HEAD + key: value for key, value in network.head.state_dict().items()}
    _require_same(
        {key: value[:1] for key, value in given.items()},
        {key: value[:1] for key, value in own.items()},
        f"the heads of {path} do not fit",
        f"set network_def as in the training of that file, or {_ON_TOP}",
    )
    for key, tensor in own.items():
        for place, source in pairs:
            tensor[place] = given[key][source]


def _require_state_dict(loaded: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise InputDataError(
            f"{path} is no plain state dict; give the model.pt that a training wrote."
        )
    state = {str(key): value for key, value in loaded.items()}
    broken = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise InputDataError(
            f"{path}: {len(broken)} of {len(state)} tensors hold values that are not finite, first "
            f"{broken[0]}; the training that wrote it diverged, use another checkpoint."
        )
    return state


def _require_same_design(loaded: Any, network: nn.Module, path: Path, *parts: str) -> None:
    if different := find_other_design(metadata_of(loaded), network, parts=parts):
        raise InputDataError(
            f"{path} holds weights of a network with {different}; set network_def and windows as "
            "in the training of that file."
        )


def _require_start(loaded: Any, network: nn.Module, path: Path) -> None:
    """Refuses weights whose encoder has learned from other volumes than the network will see."""
    if different := find_other_design(metadata_of(loaded), network, parts=("encoder", "channels")):
        raise InputDataError(
            f"{path} holds weights of a network with {different}; set network_def and windows as "
            f"in the training of that file, or {_ON_TOP}."
        )
    if hasattr(network, "seen") and "windows" not in metadata_of(loaded).get("design", {}):
        raise InputDataError(without_design(path))


def _require_same_regions(loaded: Any, network: nn.Module, path: Path) -> None:
    regions = getattr(network, "regions", [])
    stored = stored_regions(loaded)
    if regions and not stored:
        _LOGGER.warning(
            "%s does not name its regions: make sure that they are those of the configuration, in "
            "its order",
            path.name,
        )
    if other := find_other_regions(stored, regions):
        raise InputDataError(f"{path} holds weights of {other}; {regions_remedy()}.")


def _require_same(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str, remedy: str
) -> None:
    """Raises InputDataError unless names and shapes of both are the same."""
    different = list(_differences(given, wanted))
    if different:
        raise InputDataError(
            f"{what}: {len(different)} of {len(wanted)} tensors differ ("
            + "; ".join(different[:_NUM_NAMED])
            + ("; ..." if len(different) > _NUM_NAMED else "")
            + f"); {remedy}."
        )


def _differences(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterator[str]:
    for key, tensor in wanted.items():
        expected = tuple(tensor.shape)
        if key not in given:
            yield f"{key}: expected {expected}, found none"
        elif tuple(given[key].shape) != expected:
            yield f"{key}: expected {expected}, found {tuple(given[key].shape)}"
    for key, tensor in given.items():
        if key not in wanted:
            yield f"{key}: expected none, found {tuple(tensor.shape)}"
