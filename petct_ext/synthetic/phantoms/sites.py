"""Where in a digital patient a lesion of a region lies.

The places are data (``sites.json``): inside an organ, or around the usual positions of a group of
lymph nodes. Node stations follow the maps of the IASLC (Rusch et al., J Thorac Oncol
2009;4:568-577) for the chest and of Robbins et al. (Arch Otolaryngol 2002;128:751-758) for the
neck, in the coordinates of our reference adult.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import FloatArray
from petct_ext.errors import InputDataError, UnknownRegionError, did_you_mean
from petct_ext.files import read_json
from petct_ext.synthetic.phantoms.anatomy import Body, organ_at
from petct_ext.synthetic.phantoms.shapes import Ellipsoid, Shape

__all__ = ["has_site", "site_box_mm", "site_mm"]

_CANDIDATES = 24
_ROUNDS = 20
_SKIN_MM = 4.0  # a lesion's center lies at least this deep below the skin
_NODE_MM = 10.0  # radius of a usual lesion around its center
_LOBE_STEPS = 29
_ONE_SEX = {"prostate": "M", "uterus": "F", "ovary": "F"}


def site_mm(region: str, body: Body, rng: np.random.Generator) -> FloatArray:
    """Draws the center of a lesion of a region.

    Args:
        region: any region of ``sites.json``. ``left_`` and ``right_`` are kept; a paired region
            without a side gets one at random.
        body: the patient.
        rng: source of randomness.

    Returns:
        RAS+ position in mm, (3,); x < 0 for a left region.

    Raises:
        UnknownRegionError: if ``sites.json`` has no such region.
        InputDataError: if a body of this sex has no such organ.
    """
    side, site = _site_in(region, body)
    if "within" in site:
        return site_mm(str(rng.choice(site["within"])), body, rng)
    if "points" in site:
        return _into_body(_near_points(site, side, body, rng), body)
    return _in_organ(site, side, body, rng)


def has_site(region: str, body: Body) -> bool:
    """Returns whether the region has a place of its own in a body of this sex."""
    _, name = _split_side(region)
    return name in _sites() and _ONE_SEX.get(name, body.frame.sex) == body.frame.sex


def site_box_mm(region: str, body: Body) -> FloatArray:
    """Returns a box around the places where :func:`site_mm` puts lesions of a region.

    Args:
        region: any region of ``sites.json`` that the body has.
        body: the patient.

    Returns:
        Lowest and highest corner, RAS+ in mm, (2, 3): of organs the whole organ (of a lobe the
        lobe), of lymph nodes and other points the reach of centers and 10 mm around them.

    Raises:
        UnknownRegionError: if ``sites.json`` has no such region.
        InputDataError: if a body of this sex has no such organ.
    """
    side, site = _site_in(region, body)
    if "within" in site:
        parts = [site_box_mm(part, body) for part in site["within"] if has_site(part, body)]
        return _around(np.concatenate(parts))
    if "points" in site:
        return _around(_reach(site, side, body)) + np.array([[-_NODE_MM], [_NODE_MM]], np.float32)
    return _organ_box(site, side, body)


def _lobe_names(lung: Ellipsoid) -> list[str]:
    side = "right" if lung.center[0] > 0 else "left"
    return [f"{side}_{lobe}_lobe" for lobe in ("upper", "middle", "lower")]


def _lobe_numbers(points: FloatArray, lung: Ellipsoid) -> npt.NDArray[np.intp]:
    """Returns the place in :func:`_lobe_names` of each position (N, 3) in mm inside a lung.

    The oblique fissure runs from the back at the height of the fifth thoracic vertebra down to
    the front of the diaphragm; the horizontal one, on the right only, at the fourth rib.
    """
    offsets = (points - lung.center) / lung.semi_axes
    above = offsets[:, 2] > 0.45 - 0.667 * (offsets[:, 1] + 1)
    middle = above & (offsets[:, 2] < 0.05) & (offsets[:, 1] > -0.1) & (lung.center[0] > 0)
    return np.where(middle, 1, np.where(above, 0, 2))


def _in_lobes(points: FloatArray, lung: Ellipsoid, lobes: list[str]) -> npt.NDArray[np.bool_]:
    wanted = np.isin(_lobe_names(lung), lobes)
    return np.asarray(wanted[_lobe_numbers(points, lung)], np.bool_)


@cache
def _sites() -> dict[str, Any]:
    document = read_json(str(files(__package__) / "sites.json"))
    sites: dict[str, Any] = document["sites"]
    return sites


def _site_in(region: str, body: Body) -> tuple[str, dict[str, Any]]:
    """Returns the side of a region, "" if none is named, and its entry in ``sites.json``."""
    side, name = _split_side(region)
    if name not in _sites():
        raise UnknownRegionError(
            f"sites.json has no region {region!r}.{did_you_mean(region, _sites())}"
        )
    if not has_site(region, body):
        raise InputDataError(f"region {region!r}: a body of sex {body.frame.sex!r} has none.")
    return side, _sites()[name]


def _split_side(region: str) -> tuple[str, str]:
    if region in _sites():
        return "", region
    side, _, name = region.partition("_")
    return (side, name) if side in ("left", "right") else ("", region)


def _near_points(
    site: dict[str, Any], side: str, body: Body, rng: np.random.Generator
) -> FloatArray:
    point = np.array(site["points"][int(rng.integers(len(site["points"])))], np.float32)
    point += rng.uniform(-1, 1, 3) * np.asarray(site["spread"], np.float32)
    if site.get("sides"):
        left = side == "left" or (side == "" and rng.random() < 0.5)
        point[0] *= -1.0 if left else 1.0
    return np.asarray(body.frame.points(point)[0], np.float32)


def _in_organ(site: dict[str, Any], side: str, body: Body, rng: np.random.Generator) -> FloatArray:
    organs = [site["organ"]] if isinstance(site["organ"], str) else site["organ"]
    lobes = site.get("lobes")
    if lobes:
        side = lobes[0].partition("_")[0]
    parts = body.of(organs, side)
    weights = np.array([p.shape.volume_mm3() for p in parts])
    low, high = body.frame.heights(np.array(site.get("z", [0, 4000]), np.float32))
    for _ in range(_ROUNDS):
        part = parts[int(rng.choice(len(parts), p=weights / weights.sum()))]
        points = part.shape.sample(rng, _CANDIDATES)
        fit = np.array([organ in organs for organ in organ_at(points, body)])
        fit &= (points[:, 2] > low) & (points[:, 2] < high)
        if lobes and isinstance(part.shape, Ellipsoid):
            fit &= _in_lobes(points, part.shape, lobes)
        if fit.any():
            found: FloatArray = points[int(np.argmax(fit))]
            return found
    raise InputDataError(f"organ {organs}: no place for a lesion was found; check sites.json.")


def _into_body(point: FloatArray, body: Body) -> FloatArray:
    """Moves a point that lies outside of a slim patient back under the skin."""
    skin = [p.shape for p in body.parts if p.organ in ("fat", "breast_fat")]
    middle = np.array([body.frame.shift_mm[0], body.frame.shift_mm[1], point[2]], np.float32)
    for step in np.linspace(0.0, 0.6, 31, dtype=np.float32):
        moved = point + step * (middle - point)
        x, y, z = (moved[k : k + 1] for k in range(3))
        if max(float(s.depth(x, y, z)[0]) for s in skin) >= _SKIN_MM:
            return np.asarray(moved, np.float32)
    return point


def _around(points: FloatArray) -> FloatArray:
    return np.stack([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def _reach(site: dict[str, Any], side: str, body: Body) -> FloatArray:
    """Returns the corners of the boxes in which :func:`_near_points` draws, (N, 3) in mm."""
    points = np.array(site["points"], np.float32)
    signs = np.array(list(np.ndindex(2, 2, 2)), np.float32) * 2 - 1
    corners = (points[:, None] + signs * np.asarray(site["spread"], np.float32)).reshape(-1, 3)
    if site.get("sides"):
        mirrored = corners * np.array([-1, 1, 1], np.float32)
        of_side = {"left": [mirrored], "right": [corners], "": [corners, mirrored]}
        corners = np.concatenate(of_side[side])
    return body.frame.points(corners)


def _organ_box(site: dict[str, Any], side: str, body: Body) -> FloatArray:
    organs = [site["organ"]] if isinstance(site["organ"], str) else site["organ"]
    lobes = site.get("lobes")
    if lobes:
        shapes = [part.shape for part in body.of(organs, lobes[0].partition("_")[0])]
        return _around(np.concatenate([_lobe_box(s, lobes) for s in shapes]))
    box = _around(np.concatenate([p.shape.bounds() for p in body.of(organs, side)]))
    if "z" in site:
        box[:, 2] = np.clip(box[:, 2], *body.frame.heights(np.array(site["z"], np.float32)))
    return box


def _lobe_box(shape: Shape, lobes: list[str]) -> FloatArray:
    """Returns a box around lobes of a lung, two steps of the search wider than what was found."""
    if not isinstance(shape, Ellipsoid):
        return np.stack(shape.bounds())
    axis = np.linspace(-1, 1, _LOBE_STEPS, dtype=np.float32)
    ball = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    points = shape.center + ball[np.square(ball).sum(axis=1) <= 1] * shape.semi_axes
    found = _around(points[_in_lobes(points, shape, lobes)])
    step = 2 * 2 / (_LOBE_STEPS - 1) * shape.semi_axes
    low, high = shape.bounds()
    return np.stack([np.maximum(found[0] - step, low), np.minimum(found[1] + step, high)])
