"""Where the bundles and scripts lie that come with this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["REPOSITORY", "config_files_of"]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
"""Folder with ``bundles`` and ``scripts``, beside the package."""


def config_files_of(bundle: str, *names: str) -> tuple[Path, ...]:
    """Returns files of a bundle's ``configs``; absolute paths stay what they are."""
    return tuple(REPOSITORY / "bundles" / bundle / "configs" / name for name in names)
