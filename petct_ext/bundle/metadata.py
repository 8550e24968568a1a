"""What a bundle reads of its own metadata.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError
from petct_ext.files import read_json

__all__ = ["output_names"]


def output_names(metadata: Mapping[str, Any], bundle_root: str | Path) -> list[str]:
    """Returns the names of a network's outputs, in order: the channels of ``pred``.

    Args:
        metadata: ``@_meta_`` of the configuration. It is empty where MONAI was not told of the
            file (``onnx_export`` without ``--meta_file``, ``ckpt_export`` outside of the bundle's
            folder, a bare ``ConfigParser``, MONAI Label); then the bundle's own file is read.
        bundle_root: folder of the bundle.

    Raises:
        InputDataError: if there is no such file, or no channel has a name in it.

    Example:
        >>> pred = {"channel_def": {"0": "liver", "1": "spine"}}
        >>> output_names({"network_data_format": {"outputs": {"pred": pred}}}, "unused")
        ['liver', 'spine']
    """
    path = Path(bundle_root) / "configs" / "metadata.json"
    document = metadata or read_json(path)
    try:
        channels = document["network_data_format"]["outputs"]["pred"]["channel_def"]
        names = [channels[number] for number in sorted(channels, key=int)]
    except (AttributeError, KeyError, TypeError, ValueError):
        names = []
    if not names:
        raise InputDataError(
            f"{'the metadata' if metadata else path} names no output: "
            "network_data_format#outputs#pred#channel_def must be like {'0': 'liver', ...}; mend "
            "it, or give the names (--regions)."
        )
    return names
