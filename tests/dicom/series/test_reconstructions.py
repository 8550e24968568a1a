"""Of several reconstructions one is chosen for a stated reason, whatever the patient is called."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.dicom.series.exam_choice import ExamChoice
from petct_ext.dicom.series.reconstruction import (
    describe_reconstruction,
    filter_mm,
    method_rank,
    parse_preference,
)
from petct_ext.errors import InputDataError
from tests.dicom.archives import choose, only_series, reason
from tests.dicom.slices import write_slices

HEIGHTS = tuple(np.arange(20) * 3.0)
OTHER = np.full((20, 4, 5), 7)  # pixels of a second reconstruction


def pet(folder: Path, series: str, **elements: Any) -> None:
    write_slices(folder / series, modality="PT", heights_mm=HEIGHTS, series=series, **elements)


def two_pets(folder: Path, *prefer: str, **elements: Any) -> ExamChoice:
    """The choice between series 1, plain, and series 0, whose UID sorts first, with elements."""
    both = {
        "ReconstructionMethod": "OSEM 2i21s",
        "ConvolutionKernel": "XYZ GAUSS5.00",
        "SeriesNumber": "4",
    }
    pet(folder, "1", **both)
    pet(folder, "0", values=OTHER, **(both | elements))
    write_slices(folder / "ct", heights_mm=HEIGHTS, series="2")
    return choose(folder, *prefer)


@pytest.mark.parametrize(
    ("elements", "rule"),
    [
        ({"ReconstructionMethod": "PSF+TOF 2i21s"}, "reconstruction method"),
        ({"ReconstructionMethod": "Q.Clear"}, "reconstruction method"),
        ({"ReconstructionMethod": "FBP"}, "reconstruction method"),
        ({"ReconstructionMethod": ""}, "reconstruction method"),
        ({"ConvolutionKernel": "XYZ GAUSS2.00"}, "filter"),
        ({"ConvolutionKernel": "All-pass"}, "filter"),
        ({"ConvolutionKernel": ""}, "filter"),
        ({"SeriesNumber": "9"}, "series number"),
        ({"AcquisitionTime": "110500"}, "acquisition time"),
    ],
)
def test_rule_that_decides_is_named(tmp_path: Path, elements: dict[str, Any], rule: str) -> None:
    choice = two_pets(tmp_path, **elements)
    assert choice.pet is not None
    assert choice.rules["1.2.3.0"] == choice.rules["1.2.3.1"] == rule
    assert choice.pet.key == "1.2.3.1"
    assert reason(choice, "0").startswith("left out: ")


@pytest.mark.parametrize("description", ["PET WB", ""])
def test_reconstructions_of_one_description_are_not_duplicates(
    tmp_path: Path, description: str
) -> None:
    for series, values in (("1", None), ("0", OTHER)):
        pet(tmp_path, series, values=values, SeriesDescription=description, SeriesNumber="4")
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path)
    assert not any("duplicate" in why for why in choice.reasons.values())
    assert choice.rules["1.2.3.0"] == choice.rules["1.2.3.1"] == "pixels"


@pytest.mark.parametrize(
    ("wish", "taken"),
    [
        ("ReconstructionMethod=psf", "0"),
        ("PSF", "0"),
        ("Earl", "1"),
        ("nothing has this", "1"),
        ("CT:PSF", "1"),
    ],
)
def test_site_prefers_a_series(tmp_path: Path, wish: str, taken: str) -> None:
    pet(tmp_path, "1", SeriesDescription="WB EARL", ReconstructionMethod="OSEM")
    pet(tmp_path, "0", values=OTHER, SeriesDescription="WB PSF", ReconstructionMethod="PSF+TOF")
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path, wish)
    assert choice.pet is not None
    assert choice.pet.key == f"1.2.3.{taken}"
    has_decided = wish in ("ReconstructionMethod=psf", "PSF", "Earl")
    assert choice.rules[choice.pet.key].startswith("preferred (") == has_decided


@pytest.mark.parametrize("text", ["", "  ", "Reconstruction=PSF", "PT:"])
def test_preference_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputDataError, match="--prefer"):
        parse_preference(text)


def test_filter_and_reconstruction_in_words(tmp_path: Path) -> None:
    pet(tmp_path, "1", ConvolutionKernel=["XYZ GAUSS5.00"], ReconstructionMethod="OSEM3D")
    series = only_series(tmp_path)
    assert filter_mm(series) == 5.0
    said = describe_reconstruction(series)
    assert said.startswith("OSEM3D, filter XYZ GAUSS5.00, 5 x 4, ")


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["No", "AC", "Nac^Wb", "Earl", "Psf^Contrast", "Doe^Jane"]),
    uids=st.permutations(["1", "2", "3", "4"]),
    files=st.permutations(["a", "b", "c", "d"]),
)
def test_choice_depends_neither_on_names_nor_on_uids(
    name: str, uids: list[str], files: list[str]
) -> None:
    kinds: list[dict[str, Any]] = [
        {"modality": "PT", "SeriesDescription": "WB AC", "values": OTHER},
        {"modality": "PT", "SeriesDescription": "WB NO AC"},
        {"modality": "PT", "SeriesDescription": "WB AC EARL", "values": OTHER + 1},
        {"modality": "CT", "SeriesDescription": "CT no contrast"},
    ]
    with tempfile.TemporaryDirectory() as folder:
        for kind, uid, file in zip(kinds, uids, files, strict=True):
            write_slices(
                Path(folder) / file,
                heights_mm=HEIGHTS,
                series=uid,
                PatientName=name,
                SeriesNumber="4",
                **kind,
            )
        for wishes, expected in (((), None), (("EARL",), "WB AC EARL")):
            choice = choose(Path(folder), *wishes)
            assert choice.pet is not None
            chosen = pydicom.dcmread(Path(folder) / choice.pet.first.path)
            assert chosen.SeriesDescription == (expected or _chosen_without_wish())
            assert "not attenuation-corrected by its des" in choice.reasons[f"1.2.3.{uids[1]}"]


def _chosen_without_wish() -> str:
    """The series of which the pixels' digest comes first: found once, then always the same."""
    if not _FOUND:
        with tempfile.TemporaryDirectory() as folder:
            for series, text, values in (("1", "WB AC", OTHER), ("2", "WB AC EARL", OTHER + 1)):
                facts: dict[str, Any] = {"SeriesDescription": text, "SeriesNumber": "4"}
                pet(Path(folder), series, values=values, **facts)
            choice = choose(Path(folder))
            assert choice.pet is not None
            path = Path(folder) / choice.pet.first.path
            _FOUND.append(str(pydicom.dcmread(path).SeriesDescription))
    return _FOUND[0]


_FOUND: list[str] = []


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"SeriesDescription": "WB NO AC"}, "but its description says uncorrected"),
        (
            {"SeriesDescription": "WB CTAC", "CorrectedImage": ["DECY"]},
            "description says corrected",
        ),
    ],
)
def test_correction_and_description_that_contradict_are_told(
    tmp_path: Path, elements: dict[str, Any], said: str
) -> None:
    pet(tmp_path, "1", **elements)
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path)
    assert "has no attenuation-corrected PET series; contradiction: Corrected" in choice.problem
    assert said in choice.problem
    assert said in reason(choice, "1")


@pytest.mark.parametrize(
    ("description", "has_agent"),
    [
        ("CT Thorax KM portalvenous", True),
        ("CE CT abdomen", True),
        ("CT post contrast", True),
        ("CT non-contrast", False),
        ("CT ohne Kontrastmittel", False),
        ("CT low dose", False),
        ("CT w/o contrast", False),
        ("CT AC 3.0", False),
        ("CT without oral contrast", False),
        ("CT no oral or iv contrast", False),
        ("CT contrast: none", False),
        ("CT KM frei", False),
        ("CT IV con", True),
        ("CT PV phase", True),
    ],
)
def test_contrast_agent_of_the_description_counts(
    tmp_path: Path, description: str, has_agent: bool
) -> None:
    pet(tmp_path, "1")
    facts: dict[str, Any] = {"SeriesDescription": description, "SeriesNumber": "3"}
    write_slices(tmp_path / "a", heights_mm=HEIGHTS, series="0", **facts)
    write_slices(tmp_path / "b", heights_mm=HEIGHTS, series="2", values=OTHER, SeriesNumber="99")
    choice = choose(tmp_path)
    assert choice.ct is not None
    assert choice.ct.key == ("1.2.3.2" if has_agent else "1.2.3.0")
    assert ("with contrast agent by" in reason(choice, "0")) == has_agent


def test_corrected_and_uncorrected_in_one_series_are_told_apart(tmp_path: Path) -> None:
    pet(tmp_path, "1")
    for path in write_slices(
        tmp_path / "b", modality="PT", heights_mm=HEIGHTS, series="1", CorrectedImage=["DECY"]
    ):
        uncorrected = pydicom.dcmread(path)
        uncorrected.SOPInstanceUID += ".9"
        uncorrected.save_as(path)
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path)
    assert choice.problem == ""
    assert choice.notes == ["PET: mixed series, split into 2 parts by Corrected Image (0028,0051)"]


def test_frame_of_reference_of_every_slice_is_named(tmp_path: Path) -> None:
    for number, path in enumerate(
        write_slices(tmp_path / "a", modality="PT", heights_mm=HEIGHTS, series="1")
    ):
        slice_ = pydicom.dcmread(path)
        slice_.FrameOfReferenceUID = f"1.2.9.{number}"
        slice_.save_as(path)
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path)
    assert "its slices differ in Frame of Reference UID (0020,0052)" in choice.problem
    assert list(choice.reasons) == ["1.2.3.1", "1.2.3.2"]


@pytest.mark.parametrize(
    ("element", "value", "name"),
    [
        ("PatientWeight", 90.0, r"Patient's Weight (0010,1030)"),
        ("SeriesTime", "113000", r"Series Time (0008,0031)"),
    ],
)
def test_copies_that_differ_in_what_decides_the_suv_are_refused(
    tmp_path: Path, element: str, value: Any, name: str
) -> None:
    pet(tmp_path, "1")
    pet(tmp_path, "0", **{element: value})
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path)
    assert f"two copies of this PET differ in {name}; keep the right one" in choice.problem


def test_instances_sent_twice_with_another_weight_are_refused(tmp_path: Path) -> None:
    pet(tmp_path, "1")
    pet(tmp_path / "again", "1", PatientWeight=90.0)
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    assert "copies of its slices differ in Patient's Weight (0010,1030)" in choose(tmp_path).problem


def test_times_of_day_order_time_points_where_dates_are_empty(tmp_path: Path) -> None:
    dates: dict[str, Any] = dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate"), "")
    pet(tmp_path, "1", SeriesNumber="9", **dates)
    pet(tmp_path, "0", SeriesNumber="1", AcquisitionTime="120000", values=OTHER, **dates)
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2", **dates)
    choice = choose(tmp_path)
    assert reason(choice, "0") == "left out: late PET, 60 min after the first time point"
    assert choice.notes[0] == "first of several time points"


@pytest.mark.parametrize(
    ("kernel", "width"),
    [
        ("XYZ GAUSS5.00", 5.0),
        ("Gaussian 2D 6.0 mm", 6.0),
        ("3D Gaussian 4 mm", 4.0),
        (["STANDARD", "6.4"], 6.4),
        ("All-pass", 0.0),
        ("STANDARD", None),
    ],
)
def test_width_of_a_filter_is_read(tmp_path: Path, kernel: Any, width: float | None) -> None:
    pet(tmp_path, "1", ConvolutionKernel=kernel)
    assert filter_mm(only_series(tmp_path)) == width


@pytest.mark.parametrize(
    ("method", "rank"),
    [
        ("VPHD", 0),
        ("VUE Point HD", 0),
        ("VPFX", 0),
        ("OSEM3D 3i24s", 0),
        ("VPHDS", 2),
        ("VPFXS", 2),
        ("HD-PET", 2),
        ("PSF+TOF 2i21s", 2),
        ("Q.Clear", 3),
        ("Precision DL", 3),
        ("FBP", 4),
        ("", 5),
    ],
)
def test_method_of_a_vendor_is_known(tmp_path: Path, method: str, rank: int) -> None:
    pet(tmp_path, "1", ReconstructionMethod=method)
    assert method_rank(only_series(tmp_path)) == rank


def test_ct_of_the_pets_frame_goes_before_a_ct_of_its_study(tmp_path: Path) -> None:
    pet(tmp_path, "1", StudyInstanceUID="1.2.4")
    other: dict[str, Any] = {"StudyInstanceUID": "1.2.4", "FrameOfReferenceUID": "1.2.8"}
    write_slices(tmp_path / "a", heights_mm=HEIGHTS, series="2", **other)
    write_slices(tmp_path / "b", heights_mm=HEIGHTS, series="3")
    choice = choose(tmp_path)
    assert choice.ct is not None
    assert choice.ct.key == "1.2.3.3"
    assert "shares the PET's" in reason(choice, "2")


def test_pet_that_has_a_ct_goes_before_a_longer_one_that_has_none(tmp_path: Path) -> None:
    long = tuple(np.arange(100) * 3.0)
    write_slices(tmp_path / "long", modality="PT", heights_mm=long, series="1")
    pet(tmp_path, "3")
    write_slices(tmp_path / "ct", heights_mm=HEIGHTS, series="2")
    choice = choose(tmp_path)
    assert (choice.problem, choice.pet and choice.pet.key) == ("", "1.2.3.3")
    assert "another PET has one that covers it" in reason(choice, "1")


def test_order_of_corrections_does_not_split_a_series(tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "a", modality="PT", heights_mm=HEIGHTS, series="1")
    slice_ = pydicom.dcmread(paths[4])
    slice_.CorrectedImage = ["DECY", "ATTN"]
    slice_.save_as(paths[4])
    assert only_series(tmp_path).num_slices == len(HEIGHTS)
