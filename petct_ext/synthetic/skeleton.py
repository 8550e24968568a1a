"""Spine and ribs of the reference adult, computed level by level.

Entries have the form of those in ``anatomy.json`` and are in reference coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["rib_entries", "spine_entries"]

_DISC = 0.16  # share of a level's height
_RIBS = 12
# Half width and half depth of the rib cage by height in mm.
_CAGE = {"z": (1160, 1220, 1300, 1370, 1420, 1450), "width": (136, 141, 144, 136, 108, 62)}


def spine_entries(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns vertebral bodies, canal and posterior elements from the levels of ``table``."""
    entries: list[dict[str, Any]] = []
    for row in table["rows"]:
        level = dict(zip(table["columns"], row, strict=True))
        count = level["levels"]
        height = (level["top_z"] - level["bottom_z"]) / count
        for i in range(count):
            t = (i + 0.5) / count
            y = float(
                np.interp(t, [0, 0.5, 1], [level["top_y"], level["middle_y"], level["bottom_y"]])
            )
            z = level["top_z"] - (i + 0.5) * height
            radius = level["top_radius"] + t * (level["bottom_radius"] - level["top_radius"])
            entries += _vertebra(level["region"], y, z, radius=radius, height=height)
    return entries


def rib_entries() -> list[dict[str, Any]]:
    """Returns the twelve pairs of ribs as tubes that run down and forward from the spine."""
    entries: list[dict[str, Any]] = []
    for i in range(_RIBS):
        back_z = 1460.0 - 25.0 * i
        front_angle = 160.0 if i < 7 else (135.0 if i < 10 else 95.0 - 15.0 * (i - 10))
        drop = 40.0 + 5.0 * min(i, 7)
        path = []
        for angle in np.radians(np.linspace(14.0, front_angle, 9)):
            z = back_z - drop * (1 - np.cos(angle)) / 2 + 6
            width = float(np.interp(z, _CAGE["z"], _CAGE["width"]))
            x, y = width * np.sin(angle), -2.0 - (0.55 * width + 12.0) * np.cos(angle)
            path.append([float(x), float(y), float(z)])
        entries.append({"organ": "ribs", "sides": True, "path": path, "radius": 6.0})
    return entries


def _vertebra(
    region: str, y: float, z: float, *, radius: float, height: float
) -> list[dict[str, Any]]:
    half = height * (1 - _DISC) / 2
    canal = y - radius - 8
    return [
        {
            "organ": region,
            "center": [0, y, z],
            "semi_axes": [1.15 * radius, radius, half],
            "power": 4,
        },
        {
            "organ": "posterior_elements",
            "center": [0, canal - 2, z],
            "semi_axes": [1.2 * radius, 11, 0.8 * half],
        },
        {
            "organ": "posterior_elements",
            "path": [[0, canal - 8, z], [0, canal - 24, z - 8]],
            "radius": 4,
        },
        {"organ": "spinal_canal", "center": [0, canal, z], "semi_axes": [9, 7, height / 2 + 2]},
    ]
