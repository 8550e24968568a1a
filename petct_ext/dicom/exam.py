"""Which series of a study are the PET and the CT, and why the others are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from petct_ext.dicom.headers import FileHeader

__all__ = ["ExamChoice", "Series", "choose_series", "group_by_study"]

_PET_CLASSES = ("1.2.840.10008.5.1.4.1.1.128",)  # PET Image Storage
_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2",)  # CT Image Storage
_SMALLEST_OVERLAP = 0.5  # of the PET's extent that the CT has to cover


@dataclass(slots=True)
class Series:
    """All files of one series.

    Attributes:
        uid: Series Instance UID (0020,000E).
        files: headers in no particular order.
    """

    uid: str
    files: list[FileHeader] = field(default_factory=list)

    @property
    def first(self) -> FileHeader:
        """The header that stands for the series."""
        return self.files[0]

    def extent_mm(self) -> tuple[float, float] | None:
        """Returns the lowest and highest slice position along the patient's z axis in mm."""
        positions = [f.vector("ImagePositionPatient", 3) for f in self.files]
        heights = [p[2] for p in positions if p is not None]
        return (min(heights), max(heights)) if heights else None


@dataclass(slots=True)
class ExamChoice:
    """The chosen pair of one study.

    Attributes:
        pet: chosen attenuation-corrected PET series, None if there is none.
        ct: chosen CT series, None if there is none.
        reasons: for every series UID of the study, why it was chosen or left out.
        problem: why the study cannot be used; empty if it can.
    """

    pet: Series | None
    ct: Series | None
    reasons: dict[str, str]
    problem: str = ""


def group_by_study(headers: Iterable[FileHeader]) -> dict[str, list[Series]]:
    """Sorts files into studies and series by their UIDs; the folder tree does not matter."""
    studies: dict[str, dict[str, Series]] = defaultdict(dict)
    for header in headers:
        uid = header.text("SeriesInstanceUID")
        series = studies[header.text("StudyInstanceUID")].setdefault(uid, Series(uid))
        series.files.append(header)
    return {study: list(series.values()) for study, series in studies.items()}


def choose_series(series: list[Series], *, min_slices: int = 16) -> ExamChoice:
    """Chooses the attenuation-corrected PET and the CT that belongs to it.

    Of several PET series the one that covers most of the body wins, then an original before a
    derived one, then the one with more slices. The CT has to share the PET's frame of reference;
    of several the one that covers most of the PET wins, then the one with more slices.

    Args:
        series: all series of one study.
        min_slices: series with fewer slices are left out.

    Returns:
        The choice; ``problem`` says in one line why there is no pair.
    """
    reasons = {s.uid: _unfit(s, min_slices) for s in series}
    pets = [s for s in series if not reasons[s.uid] and s.first.text("Modality") == "PT"]
    cts = [s for s in series if not reasons[s.uid] and s.first.text("Modality") == "CT"]
    if not pets:
        return ExamChoice(None, None, _unchosen(reasons), "has no attenuation-corrected PET series")
    pet = max(pets, key=_pet_rank)
    _explain(reasons, pets, pet, f"PET with the largest coverage, {len(pet.files)} slices")
    same_frame = [s for s in cts if _frame(s) == _frame(pet) and _frame(s)]
    for other in cts:
        if other not in same_frame:
            reasons[other.uid] = "left out: its frame of reference differs from the PET's"
    if not same_frame:
        problem = (
            "has no CT series with enough slices in the frame of reference of its PET"
            if cts
            else "has no CT series"
        )
        return ExamChoice(pet, None, _unchosen(reasons), problem)
    ct = max(same_frame, key=lambda s: (_overlap(s, pet), len(s.files)))
    overlap = _overlap(ct, pet)
    _explain(reasons, same_frame, ct, f"CT in the PET's frame of reference, covers {overlap:.0%}")
    problem = (
        "" if overlap >= _SMALLEST_OVERLAP else f"has a CT that covers {overlap:.0%} of the PET"
    )
    return ExamChoice(pet, ct, _unchosen(reasons), problem)


def _unfit(series: Series, min_slices: int) -> str:
    """Says why a series cannot be the PET or the CT at all; empty if it could."""
    first = series.first
    modality, image_type = first.text("Modality"), first.text("ImageType").upper()
    expected = {"PT": _PET_CLASSES, "CT": _CT_CLASSES}.get(modality)
    if expected is None:
        return f"left out: modality {modality or 'missing'}"
    if first.text("SOPClassUID") not in expected:
        return f"left out: not {modality} Image Storage"
    for word, name in (
        ("LOCALIZER", "localizer"),
        ("MIP", "projection"),
        ("SCREEN SAVE", "screen"),
    ):
        if word in image_type:
            return f"left out: {name}"
    if len(series.files) < min_slices:
        return f"left out: {len(series.files)} slice(s), fewer than {min_slices}"
    if series.extent_mm() is None:
        return "left out: no slice positions (0020,0032)"
    if modality == "PT" and "ATTN" not in first.text("CorrectedImage").upper():
        return "left out: not attenuation-corrected (no ATTN in Corrected Image (0028,0051))"
    return ""


def _pet_rank(series: Series) -> tuple[float, bool, int]:
    low, high = series.extent_mm() or (0.0, 0.0)
    return (
        round(high - low, 1),
        series.first.text("ImageType").startswith("ORIGINAL"),
        len(series.files),
    )


def _frame(series: Series) -> str:
    return series.first.text("FrameOfReferenceUID")


def _overlap(ct: Series, pet: Series) -> float:
    """Returns the share of the PET's extent that the CT covers, in [0, 1]."""
    (a, b), (low, high) = ct.extent_mm() or (0.0, 0.0), pet.extent_mm() or (0.0, 0.0)
    return float(np.clip((min(b, high) - max(a, low)) / max(high - low, 1e-6), 0.0, 1.0))


def _explain(reasons: dict[str, str], rivals: list[Series], chosen: Series, why: str) -> None:
    for rival in rivals:
        reasons[rival.uid] = "left out: another series covers more or has more slices"
    reasons[chosen.uid] = f"chosen: {why}"


def _unchosen(reasons: dict[str, str]) -> dict[str, str]:
    return {uid: reason or "left out: no partner" for uid, reason in reasons.items()}
