"""MONAI's LoadImaged gives SUV and HU with the right place, or says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, LoadImaged

from petct_ext.dicom.series.reader import read_series
from petct_ext.dicom.suv.arithmetic import suv_bw_scale
from petct_ext.errors import InputDataError, find_own_error
from petct_ext.keys import CT, PET
from petct_ext.scan.transforms.reader import STORED, UNITS, DicomExamReader
from tests.conftest import shared_data
from tests.dicom.slices import write_slices

READER = "petct_ext.scan.transforms.reader.DicomExamReader"
HEIGHTS = [0.0, 3.0, 6.0, 9.0, 12.0]
STORED_PET = np.arange(100).reshape(5, 4, 5)  # (Z, rows, columns)
SLOPES = [1.0, 2.0, 0.5, 3.0, 4.0]
# 70 kg, 350 MBq at 10:00, scan at 11:00, as tests/dicom/slices.py writes them
FACTOR = suv_bw_scale(
    patient_weight_kg=70.0,
    injected_dose_bq=350e6,
    half_life_s=6586.2,
    uptake_time_s=3600.0,
    decay_correction="START",
)


@pytest.fixture
def pet(tmp_path: Path) -> list[Path]:
    return write_slices(
        tmp_path / "study" / "pet",
        modality="PT",
        heights_mm=HEIGHTS,
        values=STORED_PET,
        slopes=SLOPES,
        series="2",
    )


@pytest.fixture
def ct(tmp_path: Path) -> list[Path]:
    return write_slices(
        tmp_path / "study" / "ct", heights_mm=HEIGHTS, values=STORED_PET - 1000, series="1"
    )


def load(what: Any, **options: Any) -> MetaTensor:
    image: MetaTensor = LoadImaged(PET, reader=READER, **options)({PET: what})[PET]
    return image


def expected_suv() -> np.ndarray:
    suv: np.ndarray = STORED_PET * np.array(SLOPES)[:, None, None] * FACTOR
    return suv.transpose(2, 1, 0)


def test_pet_is_in_suv(pet: list[Path]) -> None:
    image = load(pet[0].parent)
    np.testing.assert_allclose(image.numpy(), expected_suv(), rtol=1e-6)
    assert image.meta[UNITS] == "SUVbw"


def test_order_of_listed_files_does_not_matter(pet: list[Path]) -> None:
    image = load([str(path) for path in reversed(pet)])
    np.testing.assert_allclose(image.numpy(), expected_suv(), rtol=1e-6)


def test_ct_is_in_hu_with_its_affine_to_ras(ct: list[Path]) -> None:
    image = load(ct[0].parent)
    np.testing.assert_array_equal(image.numpy(), (STORED_PET - 1000.0).transpose(2, 1, 0))
    # columns 4 mm to the left, rows 2 mm to the back; position -10, -20 is LPS
    expected = [[-4.0, 0, 0, 10.0], [0, -2.0, 0, 20.0], [0, 0, 3.0, 0], [0, 0, 0, 1.0]]
    np.testing.assert_allclose(image.affine.numpy(), expected)
    assert image.meta[UNITS] == "HU"


def test_bundle_config_reads_both_series_of_one_study(pet: list[Path], ct: list[Path]) -> None:
    transforms = [
        {
            "_target_": "LoadImaged",
            "keys": key,
            "reader": READER,
            "series": series,
            "min_slices": 3,
            "ensure_channel_first": True,
        }
        for key, series in ((PET, "PT"), (CT, "CT"))
    ]
    config = json.loads(json.dumps({"load": {"_target_": "Compose", "transforms": transforms}}))
    study = str(pet[0].parents[1])
    loaded = ConfigParser(config).get_parsed_content("load")({PET: study, CT: study})
    np.testing.assert_allclose(loaded[PET][0].numpy(), expected_suv(), rtol=1e-6)
    assert loaded[CT].shape == (1, 5, 4, 5)
    assert float(loaded[CT].min()) == -1000.0


def test_bundle_config_takes_a_reader_instance(pet: list[Path], ct: list[Path]) -> None:
    config = {
        "reader": {"_target_": READER, "series": "PT", "min_slices": 3},
        "load": {"_target_": "LoadImaged", "keys": PET, "reader": "@reader"},
    }
    loaded = ConfigParser(config).get_parsed_content("load")({PET: str(pet[0].parents[1])})
    np.testing.assert_allclose(loaded[PET].numpy(), expected_suv(), rtol=1e-6)


def test_meta_data_name_nobody(pet: list[Path]) -> None:
    image = load(pet[0].parent, prune_meta_pattern="filename_or_obj")
    text = str(image.meta) + str(image.applied_operations)
    for secret in ("SECRET-4711", "Doe", "Jane", "19500102", "20200102", "1.2.3", str(pet[0])):
        assert secret not in text


def test_images_pass_through_a_data_loader(pet: list[Path]) -> None:
    transform = LoadImaged(PET, reader=READER, ensure_channel_first=True)
    batch = next(iter(DataLoader(Dataset([{PET: str(pet[0].parent)}], transform))))
    assert batch[PET].shape == (1, 1, 5, 4, 5)


def test_mixed_folder_is_refused_and_not_left_to_other_readers(
    pet: list[Path], ct: list[Path]
) -> None:
    with pytest.raises(InputDataError, match=r"hold 2 series \(1 CT, 1 PT\) where one is needed"):
        load(pet[0].parents[1])
    with pytest.raises(InputDataError, match="hold 2 series"):
        load([pet[0], ct[1]])


def test_contours_beside_the_slices_are_no_series(pet: list[Path]) -> None:
    write_slices(pet[0].parent, heights_mm=[0.0], series="9", Modality="RTSTRUCT", Rows=None)
    assert load(pet[0].parent).shape == (5, 4, 5)


@pytest.mark.shared
def test_real_pet_has_the_known_suv() -> None:
    folder = shared_data("pet_ge_sts001_wholebody")  # with its contours
    suv = load(folder)
    activity = read_series(sorted((folder / "image").iterdir()))
    np.testing.assert_allclose(suv.numpy(), activity.array * 2.429030e-4, rtol=1e-6)


def test_missing_slice_is_refused_and_not_left_to_other_readers(pet: list[Path]) -> None:
    pet[2].unlink()
    with pytest.raises(InputDataError, match=r"6\.0+ mm"):
        load(pet[0].parent)


def test_error_is_found_in_what_compose_raises(pet: list[Path]) -> None:
    pet[2].unlink()
    with pytest.raises(Exception, match=r"LoadImaged|mm") as caught:
        Compose([LoadImaged(PET, reader=READER)])({PET: pet[0].parent})
    assert isinstance(find_own_error(caught.value), InputDataError)


def test_cut_slice_is_refused(pet: list[Path]) -> None:
    pet[3].write_bytes(pet[3].read_bytes()[:-30])
    with pytest.raises(InputDataError, match=pet[3].name):
        load(pet[0].parent)


def test_empty_slice_is_not_taken_for_a_note(pet: list[Path]) -> None:
    (pet[0].parent / "Thumbs.db").write_bytes(b"no image")
    assert load(pet[0].parent).shape == (5, 4, 5)
    pet[4].write_bytes(b"")  # at the end of the stack, where no gap would tell
    with pytest.raises(InputDataError, match=f"{pet[4].name} gives no header .* lost slice"):
        load(pet[0].parent)


def test_path_that_does_not_exist_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"^scan does not exist"):
        load(tmp_path / "DOE_JANE" / "scan")


def test_other_modality_is_refused(tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "mr", heights_mm=HEIGHTS, Modality="MR")
    with pytest.raises(InputDataError, match=r"modality|MR"):
        load(paths[0].parent)


def test_pet_without_weight_is_refused(tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "pet", modality="PT", heights_mm=HEIGHTS, PatientWeight=None)
    with pytest.raises(InputDataError, match="Patient's Weight"):
        load(paths[0].parent)


def test_study_without_a_pair_is_refused(pet: list[Path]) -> None:
    with pytest.raises(InputDataError, match=r"the study has no .*CT series"):
        load(pet[0].parent, series="CT", min_slices=3)


def test_two_studies_in_one_folder_are_refused(tmp_path: Path, pet: list[Path]) -> None:
    write_slices(tmp_path / "study" / "b", modality="PT", series="7", StudyInstanceUID="1.2.4")
    with pytest.raises(InputDataError, match="2 studies with a PET"):
        load(tmp_path / "study", series="PT", min_slices=3)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"series": "MR"}, "'MR'; it must be 'PT', 'CT'"),
        ({"sries": "PT"}, "no option 'sries'. Did you mean 'series'"),
    ],
)
def test_wrong_option_is_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        LoadImaged(PET, reader=READER, **option)


def test_stored_values_are_had_back(pet: list[Path]) -> None:
    image = load(pet[0].parent, stored_values=True)
    np.testing.assert_array_equal(image.numpy(), STORED_PET.transpose(2, 1, 0))
    assert image.meta[UNITS] == STORED


def test_reader_is_offered_dicom_only(tmp_path: Path) -> None:
    reader = DicomExamReader()
    assert reader.verify_suffix([tmp_path, "a.dcm", "IM0001"])
    assert not reader.verify_suffix("scan.nii.gz")
