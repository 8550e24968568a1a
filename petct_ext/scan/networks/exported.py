"""A trained network as one file that runs without petct_ext: ``torch.export`` (.pt2).

The number of slices stays open, the sides of a slice and the batch are fixed. A parity report says
how far the file's outputs are from the network's.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass

from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path, require_file, write_json

__all__ = [
    "LEAST_SLICES",
    "can_fold",
    "compare_export",
    "export_network",
    "exported_design",
    "fold_batch_norms",
    "load_exported",
    "save_export",
]

_DESIGN = "design.json"

LEAST_SLICES = 9
"""Fewest slices that an exported network takes; torch.export cannot leave open sizes that become 1
within the network. The network itself takes one slice."""


class _Batched(nn.Module):
    """Takes the optional argument away: what is exported has one input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)
        return logits


def export_network(
    network: nn.Module, *, in_channels: int, in_plane: int, batch_size: int = 1
) -> torch.export.ExportedProgram:
    """Exports a network for volumes of any number of slices from :data:`LEAST_SLICES` up.

    Args:
        network: takes volumes (B, in_channels, in_plane, in_plane, Z); exported in evaluation mode,
            and left in the mode it was in. Fold its batch norms before, if speed matters.
        in_channels: channels of the volume.
        in_plane: voxels of either side of a slice.
        batch_size: exams at a time.

    Returns:
        The program, with weights.

    Raises:
        ValueError: if a size is not positive, or a position of the encoder spans more slices than
            an open number of slices allows.
    """
    if min(in_channels, in_plane, batch_size) < 1:
        raise ValueError(
            "in_channels, in_plane and batch_size must be positive, "
            f"got {in_channels}, {in_plane} and {batch_size}."
        )
    strides = getattr(getattr(network, "encoder", None), "strides", (1, 1, 1))
    if strides[2] >= LEAST_SLICES:
        raise InputDataError(
            f"the encoder has one position for {strides[2]} slices; torch.export can leave their "
            f"number open for at most {LEAST_SLICES - 1} slices a position."
        )
    device = next(network.parameters()).device
    # Neither even nor a multiple of the strides, so that no size is taken for a constant.
    example = torch.zeros(batch_size, in_channels, in_plane, in_plane, 35, device=device)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return torch.export.export(
                _Batched(network), (example,), dynamic_shapes=({4: torch.export.Dim.AUTO},)
            )
    finally:
        network.train(was_training)


def compare_export(
    network: nn.Module,
    program: torch.export.ExportedProgram,
    *,
    shape: Sequence[int],
    depths: Sequence[int] = (LEAST_SLICES, 24, 35, 64),
    seed: int = 0,
) -> dict[str, Any]:
    """Runs a network and its export on the same random volumes.

    Args:
        network: what was exported.
        program: what came of it.
        shape: batch, channels and sides of a slice (B, C, X, Y).
        depths: numbers of slices to try, each at least :data:`LEAST_SLICES`.
        seed: of the volumes, uniform in [0, 1).

    Returns:
        ``max_abs_difference`` of logits and of probabilities, over all depths and by depth; ready
        for JSON.

    Raises:
        InputDataError: if a depth is below :data:`LEAST_SLICES`.
    """
    if min(depths) < LEAST_SLICES:
        raise InputDataError(
            f"depth {min(depths)}: an exported network needs {LEAST_SLICES} slices or more."
        )
    generator = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    exported, was_training = program.module(), network.training
    network.eval()
    rows = []
    with torch.no_grad():
        for depth in depths:
            image = torch.rand(*shape, depth, generator=generator).to(device)
            ours, theirs = network(image), exported(image)
            logits = float((ours - theirs).abs().max())
            probabilities = float((ours.sigmoid() - theirs.sigmoid()).abs().max())
            rows.append({"slices": depth, "logits": logits, "probabilities": probabilities})
    network.train(was_training)
    return {
        "max_abs_difference": {
            "logits": max(row["logits"] for row in rows),
            "probabilities": max(row["probabilities"] for row in rows),
        },
        "by_depth": rows,
        "shape": list(shape),
        "least_slices": LEAST_SLICES,
        "torch": torch.__version__,
    }


def save_export(
    program: torch.export.ExportedProgram,
    path: str | Path,
    report: dict[str, Any],
    *,
    design: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a program and, beside it with the suffix ``.parity.json``, its parity report.

    Args:
        program: of :func:`export_network`.
        path: file to write, ``.pt2``.
        report: of :func:`compare_export`.
        design: of the weights (:func:`petct_ext.scan.networks.design.read_design`); goes into the
            file, where :func:`exported_design` finds it.

    Raises:
        InputDataError: if the path does not end with ``.pt2``.
        OutputError: if the folder cannot be written to.
    """
    path = Path(path)
    if path.suffix != ".pt2":
        raise InputDataError(f"{path.name}: an exported network ends with .pt2.")
    with atomic_path(path) as partial:
        torch.export.save(program, partial, extra_files={_DESIGN: json.dumps(design or {})})
    write_json(path.with_suffix(".parity.json"), report)
    return path


def exported_design(path: str | Path) -> dict[str, Any]:
    """Returns windows, grid and names of outputs as a file of :func:`save_export` holds them.

    Raises:
        InputDataError: if the file is missing or damaged.
    """
    _, files = _load(path)
    design: dict[str, Any] = json.loads(files[_DESIGN] or "{}")
    return design


def load_exported(path: str | Path, device: str | torch.device = "cpu") -> torch.nn.Module:
    """Reads a file of :func:`save_export`; needs torch alone, not petct_ext's networks.

    Args:
        path: the file.
        device: where to run it. Moving the module afterwards would leave constants behind.

    Returns:
        A module that takes (B, C, X, Y, Z) with any Z from :data:`LEAST_SLICES` up.

    Raises:
        InputDataError: if the file is missing or damaged.
    """
    program, _ = _load(path)
    return move_to_device_pass(program, torch.device(device)).module()


def _load(path: str | Path) -> tuple[torch.export.ExportedProgram, dict[str, Any]]:
    path, files = Path(require_file(path)), {_DESIGN: ""}
    try:
        return torch.export.load(path, extra_files=files), files
    except Exception as error:  # zip, JSON and operating system each have their own
        raise InputDataError(
            f"{path} is no exported network, or is damaged ({type(error).__name__}); export it "
            "again."
        ) from None


_Network = TypeVar("_Network", bound=nn.Module)


def can_fold(network: nn.Module) -> bool:
    """Whether :func:`fold_batch_norms` finds something to do; not every encoder has batch norms."""
    return any(
        isinstance(layers, nn.Sequential) and any(_pairs(layers)) for layers in network.modules()
    )


@torch.no_grad()
def fold_batch_norms(network: _Network) -> _Network:
    """Returns a copy whose convolutions do the work of the batch norms behind them.

    A batch norm in evaluation is a factor and a summand per channel; both go into the convolution.
    The function stays the same up to rounding (1e-5), with a pass over every feature map less.
    The copy cannot be trained, and its state dict has other names: fold after loading.

    Args:
        network: anything built of ``nn.Sequential``s in which a ``BatchNorm3d`` follows a
            ``Conv3d``; not changed.

    Raises:
        ValueError: if the network has no such pair, e.g. because it was folded before.
    """
    folded = copy.deepcopy(network).eval()
    pairs = 0
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            pairs += _fold_sequence(module)
    if not pairs:
        raise ValueError(
            "the network has no batch norm behind a convolution; fold a trained network once."
        )
    return folded


def _pairs(layers: nn.Sequential) -> Iterator[tuple[int, nn.Conv3d, nn.BatchNorm3d]]:
    for index in range(len(layers) - 1):
        convolution, norm = layers[index], layers[index + 1]
        if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            yield index, convolution, norm


def _fold_sequence(layers: nn.Sequential) -> int:
    pairs = list(_pairs(layers))
    for index, convolution, norm in pairs:
        _fold(convolution, norm)
        layers[index + 1] = nn.Identity()
    return len(pairs)


def _fold(convolution: nn.Conv3d, norm: nn.BatchNorm3d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be folded.")
    # In double precision, so that rounding happens once.
    factor = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
    bias: Tensor | float = 0.0 if convolution.bias is None else convolution.bias.double()
    summand = norm.bias.double() + (bias - mean.double()) * factor
    kernel = convolution.weight.double() * factor[:, None, None, None, None]
    dtype = convolution.weight.dtype
    convolution.weight = nn.Parameter(kernel.to(dtype), requires_grad=False)
    convolution.bias = nn.Parameter(summand.to(dtype), requires_grad=False)
