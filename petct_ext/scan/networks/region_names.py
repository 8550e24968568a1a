"""Names of a network's outputs and what its tensors do not show, carried by its weights.

They stand in the metadata that torch keeps beside the tensors of a state dict, so files with them
have the same tensors as files without: MONAI's and Ignite's loaders read both, with
``weights_only=True``. A dictionary built anew from the tensors (``{k: v.half() for ...}``) loses
them; :func:`copy_metadata` brings them along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

__all__ = [
    "copy_metadata",
    "find_other_design",
    "find_other_regions",
    "names_in",
    "note_regions",
    "note_remedy",
    "stored_regions",
    "stored_remedy",
]

_KEY = "regions"
_DESIGN = "design"
_REMEDY = "remedy"
_METADATA = "_metadata"
_NUM_NAMED = 3


def note_regions(
    module: nn.Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]
) -> None:
    """Hook of ``state_dict()``: writes ``regions`` and ``design`` into the module's metadata."""
    regions = getattr(module, _KEY, None)
    if regions:
        local_metadata[_KEY] = list(regions)
    if (design := getattr(module, _DESIGN, None)) is not None:
        local_metadata[_DESIGN] = dict(design)


def find_other_design(
    state_dict: Mapping[str, Any], module: nn.Module, names: Sequence[str] = ("pooling", "channels")
) -> str:
    """Returns in words in what weights and network differ though their tensors are alike.

    Args:
        state_dict: as ``torch.load`` returned it; without a design everything fits.
        module: a network; without a design everything fits.
        names: what is compared.
    """
    stored = getattr(state_dict, _METADATA, {}).get("", {}).get(_DESIGN, {})
    design = getattr(module, _DESIGN, {})
    both = [name for name in names if name in stored and name in design]
    different = [name for name in both if stored[name] != design[name]]
    return ", ".join(f"{name} {stored[name]} (not {design[name]})" for name in different)


def stored_regions(state_dict: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Returns the names that came with weights; none if they came without.

    Args:
        state_dict: as ``torch.load`` returned it.
        prefix: of the network within it, e.g. "module." of a parallel wrapper.
    """
    metadata = getattr(state_dict, _METADATA, {}).get(prefix.removesuffix("."), {})
    return names_in(metadata)


def names_in(metadata: Mapping[str, Any]) -> list[str]:
    """Returns the names in the metadata of one module; none if there are none."""
    return [str(name) for name in metadata.get(_KEY, [])]


def copy_metadata(source: Any, target: Any) -> None:
    """Gives a state dict made from another one the other's metadata.

    Args:
        source: state dict of a network.
        target: ordered dictionary with the same keys, changed in place.
    """
    target._metadata = getattr(source, _METADATA, {})


def note_remedy(state_dict: Any, remedy: str) -> None:
    """Writes beside weights what to do if they do not fit a network.

    Args:
        state_dict: ordered dictionary with metadata, changed in place.
        remedy: part of a sentence that ends an error, e.g. "add configs/demo_inference.json".
    """
    metadata = getattr(state_dict, _METADATA, {})
    state_dict._metadata = {**metadata, "": {**metadata.get("", {}), _REMEDY: remedy}}


def stored_remedy(state_dict: Mapping[str, Any]) -> str:
    """Returns what :func:`note_remedy` has written, or nothing."""
    return str(getattr(state_dict, _METADATA, {}).get("", {}).get(_REMEDY, ""))


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
