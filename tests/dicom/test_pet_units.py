"""The SUV factor of a header, checked against published values, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from petct_ext.dicom.convert import read_pet_suv
from petct_ext.dicom.pet_units import suv_bw_factor
from petct_ext.errors import InputDataError
from tests.conftest import shared_data
from tests.dicom.slices import write_slices

# Published with these headers by the project that extracted them (cornerstone calculate-suv).
PUBLISHED = {
    "SIEMENS-instances.json": 4.2748316e-4,
    "GE_MEDICAL_AND_BQML-instances.json": 5.3673877e-4,
    "PHILIPS_CNTS_AND_SUV-instances.json": 7.28e-4,
}


def header(folder: Path, **elements: Any) -> list[Any]:
    return [pydicom.dcmread(p) for p in write_slices(folder, modality="PT", **elements)]


def test_bqml_start_is_weight_over_decayed_dose(tmp_path: Path) -> None:
    expected = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
    assert suv_bw_factor(header(tmp_path)) == pytest.approx(expected, rel=1e-12)


def test_gml_is_suv_already(tmp_path: Path) -> None:
    assert suv_bw_factor(header(tmp_path, Units="GML")) == 1.0


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"Units": "PROPCPS"}, r"\(0054,1001\) is 'PROPCPS'"),
        ({"Units": "CNTS"}, r"'CNTS' without Philips"),
        ({"Units": None}, r"\(0054,1001\) is 'missing'"),
        ({"Units": "GML", "SUVType": "LBM"}, r"\(0054,1006\) is 'LBM'"),
        ({"CorrectedImage": ["DECY"]}, r"no attenuation correction"),
        ({"DecayCorrection": "NONE"}, "decay_correction is 'NONE'"),
        ({"PatientWeight": None}, r"\(0010,1030\) is missing"),
        ({"PatientWeight": 70_000.0}, r"\(0010,1030\) is 70000; it should be in kg"),
        ({"PatientWeight": 0.0}, r"\(0010,1030\) is 0"),
        ({"RadiopharmaceuticalInformationSequence": None}, r"\(0018,1074\) is missing"),
    ],
)
def test_what_cannot_be_computed_names_the_tag(
    tmp_path: Path, elements: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        suv_bw_factor(header(tmp_path, **elements))


def test_dose_in_mbq_is_refused(tmp_path: Path) -> None:
    datasets = header(tmp_path)
    datasets[0].RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = 350.0
    with pytest.raises(InputDataError, match="may hold MBq"):
        suv_bw_factor(datasets)


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_factor_of_three_vendors(name: str) -> None:
    instances = json.loads((shared_data("suv_headers") / name).read_text())
    datasets = [as_dataset(instance) for instance in instances]
    assert suv_bw_factor(datasets) == pytest.approx(PUBLISHED[name], rel=1e-6)


@pytest.mark.shared
def test_whole_body_pet_has_the_published_factor() -> None:
    files = sorted((shared_data("pet_ge_sts001_wholebody") / "image").glob("*.dcm"))
    volume, factor = read_pet_suv(files)
    assert factor == pytest.approx(2.429030e-4, rel=1e-6)
    assert volume.array.shape == (128, 128, 267)


@pytest.mark.shared
def test_reference_object_has_its_three_values() -> None:
    files = sorted((shared_data("suv_dro") / "DRO_0_0" / "PT").glob("*.dcm"))
    found = sorted({round(float(v), 2) for v in read_pet_suv(files)[0].array.ravel()[::7]})
    assert [v for v in found if v > 0] == [0.2, 1.0, 4.0]


def as_dataset(instance: dict[str, Any]) -> Dataset:
    dataset, item = Dataset(), Dataset()
    for keyword, value in instance.items():
        if keyword == "PhilipsPETPrivateGroup":
            if value:
                dataset.add_new((0x7053, 0x1000), "DS", value["SUVScaleFactor"])
        elif keyword.startswith("Radio"):
            setattr(item, keyword, value)
        else:
            setattr(dataset, keyword, value)
    dataset.RadiopharmaceuticalInformationSequence = [item]
    return dataset
