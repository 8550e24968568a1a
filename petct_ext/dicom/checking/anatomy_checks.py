"""Whether an exam lies as it says: liver on the right, lungs above it, spine behind.

Every finding here is soft: situs inversus, one lung, or a liver full of cysts exist.
"""

from __future__ import annotations

from typing import Any, Final

from petct_ext.dicom.checking.anatomy import Anatomy, End, Side, SoftLump, middle_of
from petct_ext.dicom.checking.check import Check, CheckState

__all__ = ["LONG_TRUNK_MM", "check_anatomy", "fine", "liver_of", "not_fine", "not_measured"]

LONG_TRUNK_MM: Final = 600.0
"""From this length of trunk on an exam shows lungs, liver and most of the activity, mm."""

_LIVER_SUV = (1.0, 4.0)  # healthy liver has 1.5 to 3 (Boellaard et al., EANM 2.0, 2015)
_LIVER_SMALLEST_ML = 60.0  # the core of a liver of 1500 mL has some 400 to 1000
_WHOLE_LUNGS_ML = 1000.0  # with less, where they end, and the liver begins, is not known
_CLEAR_RATIO = 1.5  # of the product of size and uptake, liver to anything else
_MIRRORED_UPTAKE = 1.5  # the place opposite the liver takes up so many times more
_NEAR_MM, _FAR_MM, _LEAST_MM = 50.0, 200.0, 50.0  # beyond the lungs: neck and head, or abdomen
_CLEAR_AREAS = 1.3  # head with raised arms is narrower than abdomen, 1.4 to 6 in phantoms
_MIDLINE_MM = 40.0
_BONE_HU = 200.0
_MIXED_MM, _MIXED_BONE_HU = 6.0, 100.0  # larger voxels mix bone with what is around
_BONE_IN_FRONT_MM = 10.0


def fine(name: str, text: str, value: float | None = None, unit: str = "") -> Check:
    """Returns a check that found what it should."""
    return Check(name, CheckState.FINE, text, value=value, unit=unit)


def not_fine(
    name: str, text: str, value: float | None = None, unit: str = "", *, is_hard: bool = False
) -> Check:
    """Returns a check that found something to look at."""
    return Check(name, CheckState.NOT_FINE, text, is_hard, value, unit)


def not_measured(name: str, text: str, value: float | None = None, unit: str = "") -> Check:
    """Returns a check that could not be made, with the reason."""
    return Check(name, CheckState.NOT_MEASURED, text, value=value, unit=unit)


def liver_of(anatomy: Anatomy) -> tuple[End, Side, SoftLump] | None:
    """Returns where the liver seems to be: the lump with most tissue times uptake; None if small.

    Its side and end are what was found, not what should be.
    """
    lumps = {place: one for place, one in anatomy.lumps.items() if _weight(one) > 0}
    if not lumps:
        return None
    place = max(lumps, key=lambda key: _weight(lumps[key]))
    lump = lumps[place]
    return (*place, lump) if lump.milliliters >= _LIVER_SMALLEST_ML else None


def _weight(lump: SoftLump) -> float:
    return lump.milliliters * (lump.uptake or 0.0)


def check_anatomy(
    anatomy: Anatomy, *, is_suv: bool, original_mm: float
) -> tuple[list[Check], dict[str, Any]]:
    """Checks that an exam lies as it says.

    Args:
        anatomy: what was found in it.
        is_suv: whether the PET is in SUVbw.
        original_mm: in-plane voxel size of the volumes before they were thinned out.

    Returns:
        Checks ``lungs``, ``liver_suv``, ``left_right``, ``upside_down`` and ``front_back``; and
        measurements ``liver_suv``, ``liver_ml``, ``lungs_ml`` and ``bone_behind_mm``, None where
        there is nothing to measure.
    """
    liver = liver_of(anatomy)
    bone = _bone_behind_mm(anatomy, original_mm)
    checks = [
        _check_lungs(anatomy),
        _check_liver_suv(anatomy, is_suv=is_suv),
        _check_left_right(anatomy),
        _check_upside_down(anatomy),
        _check_front_back(bone),
    ]
    measured = {
        "liver_suv": liver[2].uptake if liver and is_suv else None,
        "liver_ml": liver[2].milliliters if liver else None,
        "lungs_ml": anatomy.lungs_ml if anatomy.lungs else None,
        "bone_behind_mm": bone,
    }
    return checks, measured


def _check_lungs(anatomy: Anatomy) -> Check:
    name = "lungs"
    if anatomy.lungs is not None:
        return fine(name, f"lungs of {anatomy.lungs_ml:.0f} mL found", anatomy.lungs_ml, "mL")
    if anatomy.trunk_mm < LONG_TRUNK_MM:
        return not_measured(name, f"no lung found in {anatomy.trunk_mm:.0f} mm of trunk in view")
    return not_fine(
        name,
        f"no lung found in {anatomy.length_mm:.0f} mm of body, so its place and orientation could "
        "not be checked: is it a trunk, and is the CT in HU?",
    )


def _check_liver_suv(anatomy: Anatomy, *, is_suv: bool) -> Check:
    name, liver = "liver_suv", liver_of(anatomy)
    if liver is None or liver[2].uptake is None:
        if anatomy.trunk_mm < LONG_TRUNK_MM:
            text = f"no liver found in {anatomy.trunk_mm:.0f} mm of trunk in view"
            return not_measured(name, text)
        if anatomy.lungs is not None and anatomy.lungs_ml < _WHOLE_LUNGS_ML:
            text = f"no liver found; {anatomy.lungs_ml:.0f} mL of lung do not tell where it is"
            return not_measured(name, text)
        return not_fine(
            name,
            f"no liver found in {anatomy.length_mm:.0f} mm of body, so the scale of SUV could not "
            "be checked by it",
        )
    if not is_suv:
        return not_measured(name, "liver found, but the PET is not in SUV")
    suv, (low, high) = liver[2].uptake, _LIVER_SUV
    if low <= suv <= high:
        return fine(name, f"liver-like SUV is {suv:.2f}", suv, "g/mL")
    return not_fine(
        name, f"liver-like SUV {suv:.2f} is outside {low:g} to {high:g} g/mL", suv, "g/mL"
    )


def _check_left_right(anatomy: Anatomy) -> Check:
    name, liver = "left_right", liver_of(anatomy)
    if liver is None:
        return not_measured(name, "no liver found, so left and right could not be checked")
    end, side, lump = liver
    other: Side = "left" if side == "right" else "right"
    ratio = _weight(lump) / max(_weight(anatomy.lumps[end, other]), 1e-9)
    value = min(ratio, 99.0)
    opposite = lump.mirrored_uptake or 0.0
    if lump.uptake and opposite > _MIRRORED_UPTAKE * lump.uptake:
        return not_fine(
            name,
            f"the CT shows liver on the patient's {side}, but the PET takes up "
            f"{opposite / lump.uptake:.1f} times as much opposite: one of them may be mirrored",
        )
    if ratio < _CLEAR_RATIO:
        text = f"liver-like tissue on both sides (ratio {ratio:.1f}), so the side is not clear"
        return not_measured(name, text, value)
    if side == "right":
        return fine(name, f"liver on the patient's right ({value:.1f} to 1)", value)
    return not_fine(
        name,
        f"liver on the patient's left ({lump.milliliters:.0f} mL): PET and CT may be mirrored "
        "(or situs inversus, or a large spleen)",
        value,
    )


def _check_upside_down(anatomy: Anatomy) -> Check:
    """Two witnesses: the end of the lungs with the liver, and the end where the body is wider."""
    name = "upside_down"
    if anatomy.lungs is None:
        return not_measured(name, "no lung found, so head and feet could not be told apart")
    votes, reasons = 0, []
    liver = liver_of(anatomy)
    if liver is not None:
        end, _, lump = liver
        opposite: End = "above" if end == "below" else "below"
        others = [_weight(anatomy.lumps[opposite, side]) for side in ("right", "left")]
        if _weight(lump) >= _CLEAR_RATIO * max(others):
            votes += 1 if end == "below" else -1
            reasons.append(f"liver {end} the lungs")
    below, above = _areas_beyond(anatomy, anatomy.lungs)
    if below is not None and above is not None:
        is_clear = max(below, above) >= _CLEAR_AREAS * min(below, above)
        if is_clear and anatomy.lungs_ml >= _WHOLE_LUNGS_ML:  # part of a lung may end anywhere
            votes += 1 if below > above else -1
        reasons.append(f"body of {below:.0f} cm2 below and {above:.0f} cm2 above the lungs")
    said = ", ".join(reasons)
    if votes > 0:
        return fine(name, f"head at the top: {said}")
    if votes < 0:
        return not_fine(name, f"{said}: PET and CT may be upside down")
    return not_measured(name, f"head and feet could not be told apart{': ' + said if said else ''}")


def _areas_beyond(anatomy: Anatomy, lungs: slice) -> tuple[float | None, float | None]:
    """Returns the mean area of the body in cm2 beyond both ends of the lungs, if in view."""
    dz = anatomy.volumes.spacing_mm[2]
    near, far = round(_NEAR_MM / dz), round(_FAR_MM / dz)
    area = anatomy.area_cm2
    found = []
    for zone in (
        area[max(0, lungs.start - far) : max(0, lungs.start - near)],
        area[lungs.stop + near : lungs.stop + far],
    ):
        held = zone[zone > 0]
        found.append(float(held.mean()) if len(held) * dz >= _LEAST_MM else None)
    return found[0], found[1]


def _check_front_back(bone: float | None) -> Check:
    name = "front_back"
    if bone is None:
        return not_measured(name, "no spine found at the height of lungs", None, "mm")
    if bone < -_BONE_IN_FRONT_MM:
        text = f"bone lies {-bone:.0f} mm in front of the middle of the trunk: back to front?"
        return not_fine(name, text, bone, "mm")
    if bone <= 0:
        text = f"bone lies {-bone:.0f} mm in front of the middle of the trunk, too little to tell"
        return not_measured(name, text, bone, "mm")
    return fine(name, f"spine {bone:.0f} mm behind the middle of the trunk", bone, "mm")


def _bone_behind_mm(anatomy: Anatomy, original_mm: float) -> float | None:
    """Returns how far bone in the midline lies behind the middle of the trunk, mm."""
    if anatomy.lungs is None:
        return None
    volumes, lungs = anatomy.volumes, anatomy.lungs
    # arms and ribs say nothing: only the spine and the breastbone lie in the middle
    half = max(1, round(_MIDLINE_MM / volumes.spacing_mm[0]))
    x = slice(max(0, int(anatomy.middle) - half), int(anatomy.middle) + half + 1)
    trunk = anatomy.body[x, :, lungs]
    threshold = _BONE_HU if original_mm <= _MIXED_MM else _MIXED_BONE_HU
    bone = trunk & (volumes.ct[x, :, lungs] > threshold)
    if not bone.any():
        return None
    return float((middle_of(trunk, 1) - middle_of(bone, 1)) * volumes.spacing_mm[1])
