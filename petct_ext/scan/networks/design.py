"""What has to be known to use weights, carried by the weights themselves: their design.

It says what the network is, which windows of PET and CT and which grid it was trained on, what its
outputs are called, and what wrote it. It stands in the metadata that torch keeps beside the tensors
of a state dict, so that one file holds both, loaders of MONAI and Ignite read it as before, and
``weights_only=True`` reads the design as well. Configurations take from it what they need
(``"design": {"_target_": "...read_design", "path": "@ckpt_path"}``), and values that contradict it
are refused.

A dictionary built anew from the tensors (``{k: v.half() for ...}``) loses the metadata;
:func:`copy_metadata` brings it along.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from petct_ext import __version__
from petct_ext.errors import InputDataError
from petct_ext.files import require_file
from petct_ext.scan.networks.definition import (
    build,
    definition_of,
    differences,
    plain,
    require_buildable,
)
from petct_ext.training.checkpoints import read_checkpoint

__all__ = [
    "REGIONS",
    "build_encoder",
    "build_network",
    "copy_metadata",
    "counted_options",
    "find_other_design",
    "find_other_regions",
    "metadata_of",
    "names_in",
    "note_design",
    "read_design",
    "read_start",
    "regions_remedy",
    "stored_regions",
    "without_design",
    "write_design",
]

DESIGN_FORMAT: Final = 1
"""Number of the form of a design; a higher one is of a later petct_ext."""

REGIONS: Final = "regions"
"""Key of the names in the metadata of a module."""

_METADATA: Final = "_metadata"
_DESIGN: Final = "design"
_NOTED: Final = ("windows", "grid")
_PARTS: Final = ("network", *_NOTED, "versions")
_FREE_IN_GRID: Final = ("min_slices", "slice_mm")
_WRAPPERS: Final = ("model", "network")
_NUM_NAMED: Final = 3


def note_design(
    network: nn.Module, *, windows: Mapping[str, Any], grid: Mapping[str, Any]
) -> nn.Module:
    """Lets a network say in each of its state dicts what it is trained to see.

    Args:
        network: see :class:`~petct_ext.scan.networks.region_classifier.RegionClassifier`; is
            changed.
        windows: ``pet_range_suv`` and ``ct_range_hu`` (lowest and highest), and ``pet_unit_suv``
            and ``ct_unit_hu``, by which volumes are divided.
        grid: ``in_plane`` (voxels of either side of a slice), ``min_slices`` (fewest slices of an
            exam) and, where it is known, ``slice_mm`` (from slice to slice).

    Returns:
        The network.

    Raises:
        InputDataError: if a value is none that JSON has, or the network is not one that is made
            from a file (:func:`petct_ext.scan.networks.definition.build`).
    """
    require_buildable(definition_of(network))
    network.seen = {  # type: ignore[assignment]
        "windows": plain(windows, "windows"),
        "grid": plain(grid, "grid"),
    }
    return network


def write_design(
    module: nn.Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]
) -> None:
    """Hook of ``state_dict()``: writes design and names of outputs into the module's metadata."""
    definition = definition_of(module)
    if regions := definition.pop(REGIONS):
        local_metadata[REGIONS] = regions
    local_metadata[_DESIGN] = {
        "format": DESIGN_FORMAT,
        "network": definition,
        **getattr(module, "seen", {}),
        "versions": {
            "petct_ext": __version__,
            "torch": str(torch.__version__),
            "monai": importlib.metadata.version("monai"),
        },
    }


def read_design(path: str | Path) -> dict[str, Any]:
    """Reads the design of weights; nothing in the file is run.

    Args:
        path: ``model.pt``, or a checkpoint that holds the network beside other things.

    Returns:
        ``network`` (see :func:`petct_ext.scan.networks.definition.definition_of`), ``regions``
        (names of the outputs in order), ``windows`` and ``grid`` (see :func:`note_design`),
        ``versions``, ``format``, and ``source``, the path.

    Raises:
        InputDataError: if the file is missing, damaged, has no design or one of a later form.
    """
    path = Path(require_file(path))
    loaded = read_checkpoint(path, remedy="copy it again or train anew")
    if isinstance(loaded, Mapping) and "objects" in loaded:
        raise InputDataError(
            f"{path} is the state of a training, from which it goes on; give the model.pt "
            "beside it."
        )
    for wrapper in _WRAPPERS:
        loaded = loaded.get(wrapper, loaded) if isinstance(loaded, Mapping) else loaded
    metadata = metadata_of(loaded)
    design = plain(metadata.get(_DESIGN, {}), f"{path}: the design")
    if not _is_complete(design):
        raise InputDataError(without_design(path))
    if design["format"] > DESIGN_FORMAT:
        raise InputDataError(
            f"{path} has a design of form {design['format']}, this petct_ext knows those up to "
            f"{DESIGN_FORMAT}; use petct_ext {design['versions'].get('petct_ext')} or later."
        )
    return {**design, REGIONS: names_in(metadata), "source": str(path)}


def _is_complete(design: Any) -> bool:
    if not isinstance(design, dict) or not isinstance(design.get("format"), int):
        return False
    if not all(isinstance(design.get(part), dict) for part in _PARTS):
        return False
    windows, grid = design["windows"], design["grid"]
    ranges = all(_is_range(windows.get(name)) for name in ("pet_range_suv", "ct_range_hu"))
    units = all(_is_number(windows.get(name)) for name in ("pet_unit_suv", "ct_unit_hu"))
    return ranges and units and all(_is_number(grid.get(n)) for n in ("in_plane", "min_slices"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def without_design(path: str | Path) -> str:
    """Returns what to say of weights without a design."""
    return (
        f"{path} does not say what network its weights are of, nor the windows and the grid of "
        "their training; write that into it with scripts/stamp_design.py and the configuration "
        "files of the training, or train anew."
    )


def read_start(path: str | Path | None) -> dict[str, Any]:
    """Reads the design of the weights that a training starts from, see :func:`read_design`.

    Raises:
        InputDataError: as there, and if there is no path.
    """
    if path is None:
        raise InputDataError(
            "pretrained_path is null, but fine-tuning starts from a trained scan model; add "
            "--pretrained_path PATH/model.pt."
        )
    return read_design(path)


def build_network(
    design: Mapping[str, Any],
    *,
    regions: Sequence[str] | None = None,
    windows: Mapping[str, Any] | None = None,
    grid: Mapping[str, Any] | None = None,
    outputs: Sequence[str] | None = None,
    **options: Any,
) -> nn.Module:
    """Makes the network of a design, with random weights.

    What is given beside the design are the values that a configuration works with: they must be
    those of the design, so that no network sees what it was not trained for.

    Args:
        design: of :func:`read_design`.
        regions: names of the outputs, in order.
        windows: as of :func:`note_design`, as is the grid, of which ``in_plane`` counts.
        grid: see there.
        outputs: names of other outputs, for a training that starts from the weights.
        **options: arguments of the network, maybe nested (``encoder``). Only those that change no
            result (``free_options`` of network and encoder) may differ.

    Returns:
        The network, with the design noted.

    Raises:
        InputDataError: if a value contradicts the design; names both.
    """
    source, definition = design["source"], {**design["network"], REGIONS: design[REGIONS]}
    if regions is not None and (other := find_other_regions(design[REGIONS], regions)):
        raise InputDataError(f"{source} holds weights of {other}; {regions_remedy()}.")
    found = [
        *differences(design["windows"], windows or {}),
        *differences(design["grid"], grid or {}, free=_FREE_IN_GRID),
    ]
    network = _build_as(definition, options, found=found, source=source, outputs=outputs)
    return note_design(network, windows=design["windows"], grid=design["grid"])


def build_encoder(design: Mapping[str, Any], **options: Any) -> nn.Module:
    """Makes the encoder of a design, for another head.

    Args:
        design: of :func:`read_start`.
        **options: arguments of the encoder; only those that change no feature may differ.

    Raises:
        InputDataError: if an option contradicts the design; names both values.
    """
    return _build_as(design["network"]["encoder"], options, found=[], source=design["source"])


def _build_as(
    definition: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    found: Sequence[str],
    source: str,
    outputs: Sequence[str] | None = None,
) -> nn.Module:
    """Makes a network, with the options where they may differ from the definition."""
    network = build(definition, source)
    different = [*found, *differences(definition, options, free=_free_options(network))]
    if different:
        raise InputDataError(
            f"{source} was trained with {', '.join(different)}; leave these settings away, which "
            "then come from the file, or give weights that were trained with them."
        )
    changed = _merged(definition, options)
    if outputs is not None:
        changed |= {"num_regions": len(outputs), REGIONS: list(outputs)}
    return network if changed == definition else build(changed, source)


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for name, value in other.items():
        both = isinstance(value, Mapping) and isinstance(one.get(name), Mapping)
        merged[name] = _merged(one[name], value) if both else value
    return merged


def _free_options(network: nn.Module) -> list[str]:
    parts = (network, getattr(network, "encoder", None))
    return [name for part in parts for name in getattr(part, "free_options", ())]


def counted_options(network: nn.Module) -> dict[str, Any]:
    """Returns the options of a network that make a training what it is, without its outputs.

    Args:
        network: see :func:`note_design`.
    """
    definition = definition_of(network)
    left_out = {"num_regions", REGIONS, *_free_options(network)} - {"dropout"}
    return {
        name: {k: v for k, v in value.items() if k not in left_out}
        if isinstance(value, dict)
        else value
        for name, value in definition.items()
        if name not in left_out
    }


def find_other_design(
    metadata: Mapping[str, Any], module: nn.Module, *, parts: Sequence[str] = ()
) -> str:
    """Returns in words in what weights and network differ though their tensors may be alike.

    Args:
        metadata: of the weights; without a design everything fits.
        module: a network.
        parts: names of the options of the network that count, without which all do. Windows and
            grid count where both note them.
    """
    stored = plain(metadata.get(_DESIGN, {}), "the design")
    if not isinstance(stored.get("network"), dict):
        return ""
    own = definition_of(module)
    chosen = parts or [name for name in own if name not in ("num_regions", REGIONS)]
    own = {name: own[name] for name in chosen}
    found = list(differences(stored["network"], own, free=_free_options(module)))
    seen: Mapping[str, Any] = getattr(module, "seen", {})
    for part in _NOTED:
        if part in seen and part in stored:
            found += differences(stored[part], seen[part], free=_FREE_IN_GRID)
    return ", ".join(found)


def regions_remedy() -> str:
    """Returns what to do about weights of other regions."""
    return (
        "set regions (for mortality: horizon_days or horizons_days) as in the training of that "
        "file or leave it away, or give weights that were trained for these"
    )


def stored_regions(state_dict: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Returns the names that came with weights; none if they came without.

    Args:
        state_dict: as ``torch.load`` returned it.
        prefix: of the network within it, e.g. "module." of a parallel wrapper.
    """
    return names_in(metadata_of(state_dict, prefix))


def metadata_of(state_dict: Mapping[str, Any], prefix: str = "") -> Mapping[str, Any]:
    """Returns what stands beside the weights of a module; nothing if there is nothing.

    Args:
        state_dict: as ``torch.load`` returned it.
        prefix: as of :func:`stored_regions`.
    """
    modules: Mapping[str, Mapping[str, Any]] = getattr(state_dict, _METADATA, {})
    return modules.get(prefix.removesuffix("."), {})


def names_in(metadata: Mapping[str, Any]) -> list[str]:
    """Returns the names in the metadata of one module; none if there are none."""
    return [str(name) for name in metadata.get(REGIONS, [])]


def copy_metadata(source: Any, target: Any) -> None:
    """Gives a state dict made from another one the other's metadata.

    Args:
        source: state dict of a network.
        target: ordered dictionary with the same keys, changed in place.
    """
    target._metadata = getattr(source, _METADATA, {})


def find_other_regions(stored: Sequence[str], regions: Sequence[str]) -> str:
    """Returns in words how stored names differ from ``regions``, or nothing if they do not.

    Args:
        stored: names that came with weights; without names everything fits.
        regions: names in the order of the outputs; without names everything fits.
    """
    if not stored or not regions or stored == list(regions):
        return ""
    lacking = [name for name in regions if name not in stored]
    surplus = [name for name in stored if name not in regions]
    if not lacking and not surplus:
        first = next(i for i, name in enumerate(regions) if name != stored[i])
        return (
            f"the same regions in another order (output {first} is {stored[first]}, expected "
            f"{regions[first]})"
        )
    parts = [f"without {_list(lacking)}"] if lacking else []
    parts += [f"with {_list(surplus)}"] if surplus else []
    return f"other regions ({', '.join(parts)})"


def _list(names: Sequence[str]) -> str:
    more = len(names) - _NUM_NAMED
    return " and ".join(names[:_NUM_NAMED]) + (f" and {more} more" if more > 0 else "")
