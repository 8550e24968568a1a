"""Values that a group supplies where headers lack them or are known to be wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pydicom

from petct_ext.dicom.suv.audit import element_tag
from petct_ext.errors import InputDataError

__all__ = ["SuvOverrides"]

_SEQUENCE = "RadiopharmaceuticalInformationSequence"


@dataclass(frozen=True, slots=True)
class SuvOverrides:
    """What to use instead of the header's own values, for one exam; None keeps the header's.

    Attributes:
        weight_kg: Patient's Weight (0010,1030).
        injected_dose_bq: Radionuclide Total Dose (0018,1074).
        half_life_s: Radionuclide Half Life (0018,1075).
        injection_time: Radiopharmaceutical Start Time (0018,1072), ``HH:MM:SS`` on the clock of
            the scanner. The header's date-time (0018,1078) is ignored then.
        height_m: Patient's Size (0010,1020), which the body mass index is checked with.
        suv_bw_factor: what to multiply the rescaled values of all slices with, g/mL per stored
            unit, in place of whatever the header would give.

    Raises:
        InputDataError: if a number is not positive or the time is no time of day.
    """

    weight_kg: float | None = None
    injected_dose_bq: float | None = None
    half_life_s: float | None = None
    injection_time: str | None = None
    height_m: float | None = None
    suv_bw_factor: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            if name == "injection_time":
                if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d", str(value)):
                    raise InputDataError(f"injection_time is {value!r}; it must be HH:MM:SS.")
            elif not 0 < value < float("inf"):
                raise InputDataError(f"{name} is {value:g}; it must be positive.")

    def given(self) -> dict[str, Any]:
        """Returns the values that are supplied, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def apply(self, datasets: Sequence[pydicom.Dataset]) -> list[dict[str, Any]]:
        """Puts the values into the headers.

        Args:
            datasets: headers of all slices; changed in place.

        Returns:
            One line of the SUV audit per value: the element, the value and what the header had.
        """
        if not self.given():
            return []
        items = [_injection(dataset) for dataset in datasets]
        lines = []
        for name, keyword, places in (
            ("weight_kg", "PatientWeight", datasets),
            ("height_m", "PatientSize", datasets),
            ("injected_dose_bq", "RadionuclideTotalDose", items),
            ("half_life_s", "RadionuclideHalfLife", items),
            ("injection_time", "RadiopharmaceuticalStartTime", items),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            was = places[0].get(keyword)
            for place in places:
                setattr(
                    place, keyword, value.replace(":", "") if name == "injection_time" else value
                )
            lines.append(
                {
                    "override": name,
                    "tag": element_tag(keyword),
                    "keyword": keyword,
                    "value": value,
                    "instead_of": None if was in (None, "") else str(was),
                }
            )
        if self.injection_time is not None:
            for item in items:
                item.pop("RadiopharmaceuticalStartDateTime", None)
        return lines


def _injection(dataset: pydicom.Dataset) -> pydicom.Dataset:
    if not dataset.get(_SEQUENCE):
        setattr(dataset, _SEQUENCE, [pydicom.Dataset()])
    item: pydicom.Dataset = dataset[_SEQUENCE].value[0]
    return item
