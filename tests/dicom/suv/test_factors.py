"""The SUV factors of a header, checked against published values, or refused with the tag named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from petct_ext.dicom.suv.factors import suv_bw_factors
from petct_ext.dicom.volumes.pet_suv import read_pet_suv
from petct_ext.errors import InputDataError
from tests.conftest import shared_data
from tests.dicom.pet_headers import add_private, factor, nuclide_code, pet_headers
from tests.dicom.slices import write_slices

# Published with these headers by the project that extracted them (cornerstone calculate-suv).
PUBLISHED = {
    "SIEMENS-instances.json": 4.2748316e-4,
    "GE_MEDICAL_AND_BQML-instances.json": 5.3673877e-4,
    "PHILIPS_CNTS_AND_SUV-instances.json": 7.28e-4,
}
PHILIPS = "Philips PET Private Group"
TWO_DOSES = {"RadionuclideTotalDose": [350e6, 351e6, 350e6]}


def test_bqml_start_is_weight_over_decayed_dose(tmp_path: Path) -> None:
    datasets = [pydicom.dcmread(p) for p in write_slices(tmp_path, modality="PT")]
    expected = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
    assert suv_bw_factors(datasets).factors == pytest.approx([expected] * 4, rel=1e-12)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"Units": "PROPCPS"}, r"\(0054,1001\) is 'PROPCPS'.*another series"),
        ({"Units": "PROPCNTS"}, r"\(0054,1001\) is 'PROPCNTS'"),
        ({"Units": "KBQML"}, r"\(0054,1001\) is 'KBQML'"),
        ({"Units": "CPS"}, r"\(0054,1001\) is 'CPS'"),
        ({"Units": "CM2ML"}, r"\(0054,1001\) is 'CM2ML'"),
        ({"Units": None}, r"\(0054,1001\) is 'missing'"),
        ({"Units": ["BQML", "GML", "BQML"]}, r"\(0054,1001\) differs .*'BQML', 'GML'"),
        ({"Units": "CNTS"}, r"'CNTS' without Philips' factors"),
        ({"Units": "GML", "SUVType": "BSA"}, r"\(0054,1006\) is 'BSA'"),
        ({"Units": "GML", "SUVType": "LBM"}, r"\(0054,1006\) is 'LBM'.*no exact formula"),
        ({"Units": "GML", "SUVType": "IBW", "PatientSex": "O"}, r"\(0010,0040\) is 'O'"),
        ({"Units": "GML", "SUVType": "IBW", "PatientSex": None}, r"\(0010,0040\) is 'missing'"),
        ({"Units": "GML", "SUVType": "IBW", "PatientSize": None}, r"\(0010,1020\) is missing"),
        ({"Units": "GML", "SUVType": "IBW", "PatientSize": 0.0}, r"\(0010,1020\) is 0; .*positive"),
        ({"Units": "GML", "SUVType": "IBW", "PatientSize": 175.0}, r"is 175; it should be in m"),
        ({"Units": "GML", "CorrectedImage": ["DECY"]}, "no attenuation correction"),
        ({"CorrectedImage": ["DECY"]}, r"\(0028,0051\) is .*no attenuation correction"),
        ({"AttenuationCorrected": "NO"}, "no attenuation correction"),
        ({"CorrectedImage": "ATTN"}, r"\(0054,1102\) is 'START'.*without DECY: they contradict"),
        ({"DecayCorrection": "NONE"}, r"\(0054,1102\) is 'NONE'.*with DECY: they contradict"),
        ({"DecayCorrection": None}, r"\(0054,1102\) is 'missing'; SUV needs START, ADMIN or NONE"),
        ({"PatientWeight": None}, r"\(0010,1030\) is missing"),
        ({"PatientWeight": 70_000.0}, r"\(0010,1030\) is 70000; it should be in kg.*in g\."),
        ({"PatientWeight": 0.0}, r"\(0010,1030\) is 0; it must be a positive number of kg"),
        ({"PatientWeight": -70.0}, r"\(0010,1030\) is -70"),
        ({"RadionuclideTotalDose": None}, r"\(0018,1074\) is missing"),
        ({"RadionuclideTotalDose": 0.0}, r"\(0018,1074\) is 0; it must be a positive"),
        ({"RadionuclideTotalDose": -350e6}, r"\(0018,1074\) is -3\.5e\+08"),
        ({"RadionuclideTotalDose": 10.0}, r"\(0018,1074\) is 10 Bq.*MBq, kBq or mCi"),
        ({"RadionuclideTotalDose": 350_000.0}, r"\(0018,1074\) is 350000 Bq"),
        ({"RadionuclideTotalDose": 3.5e11}, r"\(0018,1074\) is 3\.5e\+11 Bq"),
        (TWO_DOSES, r"\(0018,1074\) differs within the series"),
        ({"RadionuclideHalfLife": None}, r"\(0018,1075\) is missing"),
        ({"RadionuclideHalfLife": 0.0}, r"\(0018,1075\) is 0; it must be a positive"),
        ({"RadionuclideHalfLife": 109.8}, r"\(0018,1075\) is 109\.8 s, but F-18 has 6586\.2 s"),
        (
            {"RadionuclideCodeSequence": [nuclide_code("C-111A1", "^68^Gallium")]},
            r"code 'C-111A1' \(F-18\) but meaning",
        ),
        (
            {"RadionuclideCodeSequence": None, "RadionuclideHalfLife": 9000.0},
            r"\(0018,1075\) is 9000 s, which is none of F-18",
        ),
    ],
)
def test_what_cannot_be_computed_names_the_tag(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message) as caught:
        suv_bw_factors(pet_headers(**elements))
    assert "\n" not in str(caught.value)


def test_series_without_injection_is_refused() -> None:
    datasets = pet_headers()
    del datasets[1].RadiopharmaceuticalInformationSequence
    with pytest.raises(InputDataError, match=r"\(0054,0016\) is missing"):
        suv_bw_factors(datasets)


def test_two_injections_are_refused() -> None:
    datasets = pet_headers()
    datasets[0].RadiopharmaceuticalInformationSequence.append(Dataset())
    with pytest.raises(InputDataError, match=r"\(0054,0016\) is of 2 injections"):
        suv_bw_factors(datasets)


def test_no_slices_are_refused() -> None:
    with pytest.raises(InputDataError, match="without slices"):
        suv_bw_factors([])


def test_dose_in_mbq_is_converted_with_a_warning() -> None:
    found = suv_bw_factors(pet_headers(RadionuclideTotalDose=350.0))
    assert found.factors[0] == factor(pet_headers())
    assert any("(0018,1074) is 350, which can only be MBq" in line for line in found.warnings)


def test_missing_corrected_image_is_a_warning() -> None:
    found = suv_bw_factors(pet_headers(CorrectedImage=None))
    assert any("(0028,0051) is missing" in line for line in found.warnings)


def test_counts_without_decay_correction_need_the_activity_factor() -> None:
    datasets = pet_headers(Units="CNTS", DecayCorrection="NONE", CorrectedImage="ATTN")
    add_private(datasets, (0x7053, 0x1000), "0.000728", creator=PHILIPS)
    with pytest.raises(InputDataError, match=r"'NONE' and Philips' activity factor \(7053,1009\)"):
        suv_bw_factors(datasets)


def test_flag_of_a_multi_frame_image_keeps_philips_suv_factor_from_uncorrected_counts() -> None:
    not_corrected: dict[str, Any] = {"CorrectedImage": ["NORM", "ATTN"], "Units": "CNTS"}
    told = pet_headers(DecayCorrection="NONE", **not_corrected)
    flagged = pet_headers(DecayCorrection=None, DecayCorrected="NO", **not_corrected)
    for datasets in (told, flagged):
        add_private(datasets, (0x7053, 0x1000), "0.000728", creator=PHILIPS)
        add_private(datasets, (0x7053, 0x1009), "1.5", creator=PHILIPS)
    assert factor(flagged) == factor(told) != 0.000728


def test_factors_of_philips_that_contradict_each_other_are_refused() -> None:
    datasets = add_private(pet_headers(Units="CNTS"), (0x7053, 0x1000), "0.01", creator=PHILIPS)
    add_private(datasets, (0x7053, 0x1009), "1.5", creator=PHILIPS)
    with pytest.raises(InputDataError, match=r"\(7053,1000\) is 0\.01, but \(7053,1009\)"):
        suv_bw_factors(datasets)


def test_unreadable_private_factor_is_refused() -> None:
    datasets = add_private(
        pet_headers(Units="CNTS"), (0x7053, 0x1000), b"\x01\x02abc", creator=PHILIPS, vr="UN"
    )
    with pytest.raises(InputDataError, match=r"\(7053,1000\) is .*not a number"):
        suv_bw_factors(datasets)


@pytest.mark.parametrize("value", ["0", "-1"])
def test_factor_of_philips_that_is_not_positive_counts_as_missing(value: str) -> None:
    datasets = add_private(pet_headers(Units="CNTS"), (0x7053, 0x1000), value, creator=PHILIPS)
    with pytest.raises(InputDataError, match="without Philips' factors"):
        suv_bw_factors(datasets)


def test_private_factor_of_another_vendor_is_not_philips() -> None:
    datasets = add_private(pet_headers(Units="CNTS"), (0x7053, 0x1000), "0.001", creator="OTHER")
    with pytest.raises(InputDataError, match="without Philips' factors"):
        suv_bw_factors(datasets)


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_factor_of_three_vendors(name: str) -> None:
    instances = json.loads((shared_data("suv_headers") / name).read_text())
    datasets = [as_dataset(instance) for instance in instances]
    assert factor(datasets) == pytest.approx(PUBLISHED[name], rel=1e-6)


@pytest.mark.shared
def test_whole_body_pet_has_the_published_factor() -> None:
    """Its decay factors, from 1.01 to 1.15, are those that its times give."""
    files = sorted((shared_data("pet_ge_sts001_wholebody") / "image").glob("*.dcm"))
    volume, found = read_pet_suv(files)
    assert found.factors == pytest.approx([2.429030e-4] * 267, rel=1e-6)
    assert volume.array.shape == (128, 128, 267)
    assert found.warnings == []


@pytest.mark.shared
def test_reference_object_has_its_three_values() -> None:
    files = sorted((shared_data("suv_dro") / "DRO_0_0" / "PT").glob("*.dcm"))
    volume, suv = read_pet_suv(files)
    found = sorted({round(float(v), 4) for v in volume.array.ravel()[::7]})
    assert [v for v in found if v > 0] == pytest.approx([0.2, 1.0, 4.0], abs=2e-3)
    assert suv.warnings == []


def as_dataset(instance: dict[str, Any]) -> Dataset:
    dataset, item = Dataset(), Dataset()
    for keyword, value in instance.items():
        if keyword == "PhilipsPETPrivateGroup":
            if value:
                dataset.add_new((0x7053, 0x0010), "LO", PHILIPS)
                dataset.add_new((0x7053, 0x1000), "DS", value["SUVScaleFactor"])
        elif keyword.startswith("Radio"):
            setattr(item, keyword, value)
        else:
            setattr(dataset, keyword, value)
    dataset.RadiopharmaceuticalInformationSequence = [item]
    return dataset
