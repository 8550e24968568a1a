"""Series that were sent twice, under one UID or another."""

from __future__ import annotations

from collections.abc import Sequence

from petct_ext.dicom.series.groups import Series
from petct_ext.dicom.series.pixels import SeriesPixels

__all__ = ["duplicates"]


def duplicates(series: Sequence[Series], pixels: SeriesPixels | None = None) -> dict[str, str]:
    """Finds series that were sent again under another UID.

    Two are the same if they share an SOP instance, or agree in positions, matrix, time, image
    type, corrections and kernel, and in every pixel. Two reconstructions agree in all but their
    pixels, and are not duplicates. The one whose UID sorts first stays.

    Args:
        series: fit series of one study.
        pixels: reads their pixels; None finds those that share an instance only.

    Returns:
        The reason for every series that repeats another one, by key. If copies of a PET differ in
        what decides the SUV, nobody but a person knows the right one, and both are left out.
    """
    instances: set[str] = set()
    alike: dict[object, list[Series]] = {}
    found = {}
    for one in sorted(series, key=_key):
        own = {f.instance for f in one.files if f.instance}
        rivals = alike.setdefault(_look(one), [])
        if own & instances:
            found[one.key] = "left out: duplicate of another series (shared SOP Instance UIDs)"
        elif pixels and (same := [rival for rival in rivals if pixels.are_same(rival, one)]):
            found[one.key] = "left out: duplicate of another series (same pixels)"
            if one.first.text("Modality") == "PT" and (
                elements := pixels.suv_difference(same[0], one)
            ):
                why = f"left out: two copies of this PET differ in {elements}; keep the right one"
                found[one.key] = found[same[0].key] = why
        else:
            instances |= own
            rivals.append(one)
    return found


def _look(series: Series) -> tuple[object, ...]:
    first = series.first
    facts = ("Rows", "Columns", "PixelSpacing", "ImageType", "CorrectedImage", "Units")
    others = ("Modality", "ConvolutionKernel", "ReconstructionMethod", "ContrastBolusAgent")
    return (
        series.places_mm,
        first.text("FrameOfReferenceUID"),
        series.started,
        *(first.text(f) for f in (*facts, *others)),
    )


def _key(series: Series) -> str:
    return series.key
