"""What is true of an artificial exam: its lesions, and boxes around them and their regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.errors import InputDataError
from petct_ext.ontology.regions import RegionOntology
from petct_ext.synthetic.phantoms.anatomy import Body
from petct_ext.synthetic.phantoms.images import PlacedLesion
from petct_ext.synthetic.phantoms.sites import has_site, site_box_mm

__all__ = [
    "BOX_COLUMNS",
    "LESION_COLUMNS",
    "box_rows",
    "lesion_box_mm",
    "lesion_rows",
    "region_box_mm",
]

LESION_COLUMNS = (
    "study_instance_uid",
    "lesion",
    "region",
    "x_mm",
    "y_mm",
    "z_mm",
    "diameter_mm",
    "suv",
    "mentioned",
)
"""Columns of ``truth/lesions.csv``."""

BOX_COLUMNS = (
    "study_instance_uid",
    "region",
    "kind",
    "lesion",
    "x_low_mm",
    "y_low_mm",
    "z_low_mm",
    "x_high_mm",
    "y_high_mm",
    "z_high_mm",
)
"""Columns of ``truth/boxes.csv``; ``lesion`` is empty in rows of kind ``region``."""

_BUMPS = 1.18  # three waves of 6 % on the surface of a lesion


def lesion_box_mm(placed: PlacedLesion) -> FloatArray:
    """Returns the lowest and highest corner of a lesion, RAS+ in mm, (2, 3)."""
    reach = _BUMPS * placed.semi_axes_mm
    return np.stack([placed.center_mm - reach, placed.center_mm + reach]).astype(np.float32)


def region_box_mm(
    region: str, body: Body, *, ontology: RegionOntology, lesions: Sequence[PlacedLesion] = ()
) -> FloatArray:
    """Returns a box around a region with everything that the ontology puts into it.

    Args:
        region: any region of the ontology that the body has.
        body: the patient.
        ontology: what lies in the region.
        lesions: the box holds them as well; they may reach out of an organ.

    Returns:
        Lowest and highest corner, RAS+ in mm, (2, 3).

    Raises:
        UnknownRegionError: if the ontology has no such region.
        InputDataError: if a body of this sex has no such organ.
    """
    if not has_site(region, body):
        raise InputDataError(f"region {region!r}: a body of sex {body.frame.sex!r} has none.")
    return _hull([*_site_boxes([region], body, ontology).values(), *map(lesion_box_mm, lesions)])


def lesion_rows(uid: str, lesions: Sequence[PlacedLesion]) -> Iterable[dict[str, Any]]:
    """Yields the rows of an exam in ``truth/lesions.csv``, numbered from 1."""
    for number, placed in enumerate(lesions, start=1):
        x, y, z = (round(float(v), 2) for v in placed.center_mm)
        yield {
            "study_instance_uid": uid,
            "lesion": number,
            "region": placed.lesion.region,
            "x_mm": x,
            "y_mm": y,
            "z_mm": z,
            "diameter_mm": placed.lesion.diameter_mm,
            "suv": placed.lesion.suv,
            "mentioned": int(placed.lesion.mentioned),
        }


def box_rows(
    uid: str, body: Body, lesions: Sequence[PlacedLesion], *, ontology: RegionOntology
) -> Iterable[dict[str, Any]]:
    """Yields the rows of an exam: its lesions, then every region that holds one of them.

    Args:
        uid: Study Instance UID.
        body: the patient on that day.
        lesions: its lesions; none gives no rows.
        ontology: what lies in what.
    """
    inside: dict[str, list[PlacedLesion]] = {}
    for number, placed in enumerate(lesions, start=1):
        region = placed.lesion.region
        for around in {region} | ontology.containers(region):
            inside.setdefault(around, []).append(placed)
        yield _row(uid, region, lesion_box_mm(placed), lesion=number)
    sites = _site_boxes(inside, body, ontology)
    for region in ontology:
        if region in inside:
            within = [sites[r] for r in (region, *ontology.parts(region)) if r in sites]
            box = _hull([*within, *map(lesion_box_mm, inside[region])])
            yield _row(uid, region, box)


def _site_boxes(
    regions: Iterable[str], body: Body, ontology: RegionOntology
) -> dict[str, FloatArray]:
    """Returns the boxes of regions and of everything inside them, as far as the body has them."""
    wanted = set(regions).union(*(ontology.parts(region) for region in regions))
    return {r: site_box_mm(r, body) for r in ontology if r in wanted and has_site(r, body)}


def _hull(boxes: Sequence[FloatArray]) -> FloatArray:
    corners = np.concatenate(boxes)
    return np.stack([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def _row(uid: str, region: str, box: FloatArray, *, lesion: int | str = "") -> dict[str, Any]:
    corners = [round(float(v), 2) for v in box.ravel()]
    values = (uid, region, "lesion" if lesion else "region", lesion, *corners)
    return dict(zip(BOX_COLUMNS, values, strict=True))
