"""What was injected: the one item of the Radiopharmaceutical Information Sequence (0054,0016).

Sources: DICOM PS3.3 C.8.9.2 (dose in Bq, half-life in s) and PS3.16 CID 4020 for the nuclides;
half-lives of the Decay Data Evaluation Project (DDEP).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pydicom

from petct_ext.dicom.files.header_values import common_number, common_text, positive, texts
from petct_ext.dicom.files.identity import without_identity
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.errors import InputDataError

__all__ = [
    "Nuclide",
    "find_nuclide",
    "half_life_s",
    "injected_dose_bq",
    "injections",
    "note_tracer",
]

_SEQUENCE = "RadiopharmaceuticalInformationSequence"
_MINUTE_S = 60.0
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
# Published half-lives of one nuclide differ by up to 0.6 %, and vendors round to 0.1 min.
_HALF_LIFE_TOLERANCE = 0.01
_DOSE_BQ = (1e6, 1e10)
# Between these, the number of an F-18 or Ga-68 dose can only be MBq: as Bq or kBq it would be less
# than a thousandth of a diagnostic dose, and as mCi (3.7 GBq and more) ten times more than one.
_DOSE_SURELY_MBQ = (100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Nuclide:
    """A positron emitter.

    Attributes:
        name: as in ``F-18``.
        half_life_s: half-life in s.
        codes: SNOMED CT and SNOMED RT codes.
        uptake_s: shortest and longest plausible time from injection to scan in s.
    """

    name: str
    half_life_s: float
    codes: tuple[str, ...]
    uptake_s: tuple[float, float]

    @property
    def needs_date(self) -> bool:
        """Whether scans days after injection are usual, so that a time of day is not enough."""
        return self.uptake_s[1] > _DAY_S / 2


_NUCLIDES = (
    Nuclide("F-18", 6586.2, ("77004003", "C-111A1"), (20 * _MINUTE_S, 4 * _HOUR_S)),
    Nuclide("Ga-68", 4062.6, ("35337001", "C-131A3"), (20 * _MINUTE_S, 4 * _HOUR_S)),
    Nuclide("C-11", 1221.8, ("40565003", "C-105A1"), (0.0, 2 * _HOUR_S)),
    Nuclide("N-13", 597.9, ("21576001", "C-107A1"), (0.0, _HOUR_S)),
    Nuclide("O-15", 122.24, ("129504001", "C-B1038"), (0.0, 20 * _MINUTE_S)),
    Nuclide("Rb-82", 76.38, ("79197006", "C-159A2"), (0.0, 20 * _MINUTE_S)),
    Nuclide("Cu-64", 45721.0, ("3932008", "C-127A2"), (20 * _MINUTE_S, 3 * _DAY_S)),
    Nuclide("Y-86", 53064.0, ("10738001", "C-162A3"), (20 * _MINUTE_S, 4 * _DAY_S)),
    Nuclide("Zr-89", 282_280.0, ("63360001", "C-168A4"), (20 * _MINUTE_S, 14 * _DAY_S)),
    Nuclide("I-124", 360_806.0, ("40937006", "C-114A5"), (20 * _MINUTE_S, 14 * _DAY_S)),
)
# What SPECT measures: half-lives in s, to say so where a series claims to be a PET.
_SINGLE_PHOTON = {
    "Tc-99m": 21_624.0,
    "I-123": 47_604.0,
    "In-111": 242_326.0,
    "Tl-201": 262_837.0,
    "Ga-67": 281_768.0,
    "Lu-177": 574_260.0,
    "I-131": 692_902.0,
}
_ELEMENTS = {
    "Tc": "technetium",
    "I": "iodine",
    "In": "indium",
    "Tl": "thallium",
    "Ga": "gallium",
    "Lu": "lutetium",
}
_SYMBOLS = {
    "fluorine": "F",
    "fluor": "F",
    "gallium": "Ga",
    "carbon": "C",
    "nitrogen": "N",
    "oxygen": "O",
    "rubidium": "Rb",
    "copper": "Cu",
    "yttrium": "Y",
    "zirconium": "Zr",
    "iodine": "I",
}


def injections(datasets: Sequence[pydicom.Dataset]) -> list[pydicom.Dataset]:
    """Returns the item of the sequence of each slice.

    Raises:
        InputDataError: if a slice has none, or more than one (two tracers in one scan).
    """
    items = []
    for dataset in datasets:
        sequence = dataset.get(_SEQUENCE) or []
        if len(sequence) != 1:
            found = "missing or empty" if not sequence else f"of {len(sequence)} injections"
            raise InputDataError(
                f"{element_name(_SEQUENCE)} is {found}; dose and injection time must be those of "
                "one injection. Correct the header or leave the exam out."
            )
        items.append(sequence[0])
    return items


def find_nuclide(items: Sequence[pydicom.Dataset], audit: SuvAudit) -> Nuclide:
    """Returns the nuclide that the code names, or else the one whose half-life the header gives.

    Raises:
        InputDataError: if code and meaning name different nuclides, or the nuclide is not known.
    """
    code, meaning = _nuclide_code(items)
    by_code = next((n for n in _NUCLIDES if code in n.codes), None)
    by_name = _by_name(meaning)
    if by_code and by_name and by_code is not by_name:
        raise InputDataError(
            f"{element_name('RadionuclideCodeSequence')} holds code {code!r} ({by_code.name}) but "
            f"meaning {meaning!r}; correct the header."
        )
    named = by_code or by_name
    if named:
        audit.element("RadionuclideCodeSequence", f"{code} {meaning}".strip())
        audit.step("nuclide", named.name)
        return named
    _refuse_single_photon(math.nan, meaning)
    stated = common_number(items, "RadionuclideHalfLife")
    for nuclide in _NUCLIDES:
        if abs(stated / nuclide.half_life_s - 1) <= _HALF_LIFE_TOLERANCE:
            audit.step("nuclide, from the half-life", nuclide.name)
            return nuclide
    _refuse_single_photon(stated, meaning)
    raise InputDataError(
        f"{element_name('RadionuclideHalfLife')} is {stated:g} s, which is none of "
        f"{', '.join(n.name for n in _NUCLIDES)}, and {element_name('RadionuclideCodeSequence')} "
        f"names {meaning or code or 'nothing'!r}; the nuclide is unknown. Correct the header."
    )


def half_life_s(items: Sequence[pydicom.Dataset], nuclide: Nuclide, audit: SuvAudit) -> float:
    """Returns the half-life of the header in s.

    Raises:
        InputDataError: if it is missing, not positive, or not that of ``nuclide``.
    """
    stated = positive(
        common_number(items, "RadionuclideHalfLife"), "RadionuclideHalfLife", unit="s"
    )
    if abs(stated / nuclide.half_life_s - 1) > _HALF_LIFE_TOLERANCE:
        raise InputDataError(
            f"{element_name('RadionuclideHalfLife')} is {stated:g} s, but {nuclide.name} has "
            f"{nuclide.half_life_s:g} s; correct the header (DICOM wants seconds)."
        )
    audit.element("RadionuclideHalfLife", stated)
    return stated


def injected_dose_bq(items: Sequence[pydicom.Dataset], nuclide: Nuclide, audit: SuvAudit) -> float:
    """Returns the injected activity in Bq; MBq are converted, with a warning, where they must be.

    Raises:
        InputDataError: if it is missing, not positive or implausible.
    """
    name = element_name("RadionuclideTotalDose")
    dose = positive(
        common_number(items, "RadionuclideTotalDose"), "RadionuclideTotalDose", unit="Bq"
    )
    audit.element("RadionuclideTotalDose", dose)
    smallest, largest = _DOSE_SURELY_MBQ
    if nuclide.name in ("F-18", "Ga-68") and smallest <= dose <= largest:
        audit.warn(f"{name} is {dose:g}, which can only be MBq; taken as {dose:g} MBq.")
        dose *= 1e6
        audit.step("dose: MBq to Bq", dose, "Bq")
    if not _DOSE_BQ[0] <= dose <= _DOSE_BQ[1]:
        raise InputDataError(
            f"{name} is {dose:g} Bq, outside {_DOSE_BQ[0]:g} to {_DOSE_BQ[1]:g} Bq; the header may "
            "hold MBq, kBq or mCi. Correct it to Bq."
        )
    return dose


def note_tracer(
    items: Sequence[pydicom.Dataset], audit: SuvAudit, *, identity: frozenset[str] = frozenset()
) -> None:
    """Records the tracer, and warns if it is not FDG or not named.

    Args:
        items: of the sequence, one per slice.
        audit: is told.
        identity: words of the patient's identity, which a free text may hold.

    Raises:
        InputDataError: if the slices name different tracers.
    """
    name = common_text(items, "Radiopharmaceutical")
    if not name:
        coded = {
            str(code.get("CodeMeaning") or "")
            for item in items
            for code in item.get("RadiopharmaceuticalCodeSequence") or []
        }
        name = min(coded, default="")
    name = without_identity(name, identity)
    audit.element("Radiopharmaceutical", name)
    text = name.lower()
    if not name:
        audit.warn(f"{element_name('Radiopharmaceutical')} is missing: the tracer is unknown.")
    elif not ("fdg" in text or re.search(r"fluoro-?deoxy-?(d-?)?glucose|fludeoxyglucose", text)):
        audit.warn(f"the tracer is {name!r}, not FDG; SUV of another tracer means something else.")


def _nuclide_code(items: Sequence[pydicom.Dataset]) -> tuple[str, str]:
    coded = [item.get("RadionuclideCodeSequence") or [] for item in items]
    codes = {text for sequence in coded for text in texts(sequence[:1], "CodeValue")} - {""}
    meanings = {text for sequence in coded for text in texts(sequence[:1], "CodeMeaning")} - {""}
    if len(codes) > 1:
        raise InputDataError(
            f"{element_name('RadionuclideCodeSequence')} differs within the series "
            f"({', '.join(sorted(codes))}); split the series."
        )
    return min(codes, default=""), min(meanings, default="")


def _refuse_single_photon(half_life: float, meaning: str) -> None:
    masses, words = re.findall(r"\d+", meaning), re.findall(r"[a-z]+", meaning.lower())
    for name, stated in _SINGLE_PHOTON.items():
        symbol, mass = name.rstrip("m").split("-")
        is_named = mass in masses and any(w in (symbol.lower(), _ELEMENTS[symbol]) for w in words)
        if is_named or abs(half_life / stated - 1) <= _HALF_LIFE_TOLERANCE:
            raise InputDataError(
                f"the nuclide is {name}, by {element_name('RadionuclideCodeSequence')} "
                f"{meaning or 'nothing'!r} or its half-life: it emits single photons, so that this "
                "is SPECT and not PET. There is nothing to correct; leave the exam out."
            )


def _by_name(meaning: str) -> Nuclide | None:
    """Reads ``^18^Fluorine``, ``18F``, ``F-18``, ``Fluorine F^18^`` and the like."""
    masses = re.findall(r"\d+", meaning)
    words = re.findall(r"[a-z]+", meaning.lower())
    symbols = {_SYMBOLS.get(word, word.capitalize()) for word in words}
    for nuclide in _NUCLIDES:
        symbol, mass = nuclide.name.split("-")
        if symbol in symbols and mass in masses:
            return nuclide
    return None
