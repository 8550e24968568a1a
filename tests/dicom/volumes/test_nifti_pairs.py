"""SUV of a NIfTI PET follows from its manifest, with the rules for headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.volumes.nifti_pairs import (
    is_volume_file,
    manifest_suv_factors,
    read_pair_ct,
    read_pair_pet,
)
from petct_ext.errors import InputDataError
from petct_ext.files import write_json
from tests.dicom.nifti_files import ct_values, pet_values, write

BQML = {
    "pet_units": "BQML",
    "weight_kg": 70.0,
    "injected_dose_bq": 350e6,
    "uptake_time_s": 3600.0,
    "half_life_s": 6586.2,
    "decay_correction": "START",
}


def test_bqml_becomes_suv_by_the_hand_calculation() -> None:
    suv = manifest_suv_factors(BQML, num_slices=4)
    expected = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
    np.testing.assert_allclose(suv.factors, [expected] * 4, rtol=1e-12)
    admin = manifest_suv_factors(BQML | {"decay_correction": "ADMIN"}, num_slices=1)
    np.testing.assert_allclose(admin.factors, [70_000 / 350e6], rtol=1e-12)


def test_audit_lists_every_value_and_the_factor() -> None:
    suv = manifest_suv_factors(BQML, num_slices=1)
    assert [line.get("manifest") for line in suv.audit[:5]] == list(BQML)[1:]
    assert suv.audit[-1]["value"] == suv.factors[0]
    json.dumps(suv.audit, allow_nan=False)


def test_suv_stays_as_it_is() -> None:
    suv = manifest_suv_factors({"pet_units": "SUVbw"}, num_slices=3)
    assert suv.factors.tolist() == [1.0, 1.0, 1.0]


def test_override_replaces_the_manifest_and_is_recorded() -> None:
    suv = manifest_suv_factors(BQML, num_slices=1, overrides=SuvOverrides(weight_kg=35.0))
    half = manifest_suv_factors(BQML, num_slices=1).factors / 2
    np.testing.assert_allclose(suv.factors, half)
    assert {"override": "weight_kg", "value": 35.0} in suv.audit
    with pytest.raises(InputDataError, match="injection_time cannot be overridden"):
        manifest_suv_factors(BQML, num_slices=1, overrides=SuvOverrides(injection_time="10:00:00"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_kg": None, "half_life_s": None}, "gives no weight_kg, half_life_s"),
        ({"weight_kg": 70_000.0}, "is 70000; it should be in kg"),
        ({"injected_dose_bq": 3.5}, r"is 3.5 Bq, outside"),
        ({"half_life_s": 109.77}, r"109.77 s, which is none of F-18"),
        ({"uptake_time_s": 60.0}, "uptake_time_s is 60 s, outside 1200 to 14400 s for F-18"),
        ({"uptake_time_s": -3600.0}, "uptake_time_s is -3600 s"),
        ({"decay_correction": "NONE"}, "decay_correction is 'NONE'"),
    ],
)
def test_implausible_manifest_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        manifest_suv_factors(BQML | change, num_slices=1)


def test_dose_that_can_only_be_mbq_is_converted_with_a_warning() -> None:
    suv = manifest_suv_factors(BQML | {"injected_dose_bq": 350.0}, num_slices=1)
    np.testing.assert_allclose(suv.factors, manifest_suv_factors(BQML, num_slices=1).factors)
    assert "can only be MBq" in suv.warnings[0]


def test_pair_is_read_with_its_facts(tmp_path: Path) -> None:
    pet = write(tmp_path / "PET.nii.gz", pet_values() * 5000)
    facts = write_json(tmp_path / "facts.json", BQML)
    volume, found = read_pair_pet([pet, facts])
    np.testing.assert_allclose(volume.array, pet_values() * 5000)
    assert found == BQML
    ct = write(tmp_path / "CT.nii.gz", ct_values())
    np.testing.assert_array_equal(read_pair_ct([ct]).array, ct_values())


def test_pet_without_facts_is_refused(tmp_path: Path) -> None:
    pet = write(tmp_path / "PET.nii.gz", pet_values())
    broken = tmp_path / "facts.json"
    broken.write_text("{}")
    for files in ([pet], [pet, tmp_path / "no.json"], [pet, broken]):
        with pytest.raises(InputDataError, match=r"manifest says of PET.nii.gz is missing"):
            read_pair_pet(files)


def test_nifti_is_told_from_dicom_by_its_name() -> None:
    assert is_volume_file([Path("a/SUV.nii.gz"), Path("facts.json")])
    assert is_volume_file([Path("CT.nii")])
    assert not is_volume_file([Path("IM0001.dcm")])
    assert not is_volume_file([])
