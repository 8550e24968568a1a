"""Names of a network's outputs, carried by its weights.

They stand in the metadata that torch keeps beside the tensors of a state dict, so files with them
have the same tensors as files without: MONAI's and Ignite's loaders read both, with
``weights_only=True``. A dictionary built anew from the tensors (``{k: v.half() for ...}``) loses
them; :func:`copy_metadata` brings them along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = [
    "REGIONS",
    "copy_metadata",
    "find_other_regions",
    "metadata_of",
    "names_in",
    "stored_regions",
]

REGIONS: Final = "regions"
"""Key of the names in the metadata of a module."""

_METADATA = "_metadata"
_NUM_NAMED = 3


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
