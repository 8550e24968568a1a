"""Weight, height and dose that are possible but absurd are held back, with tag and value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.dicom.checking.check import Check, CheckState, require_acceptable
from petct_ext.dicom.suv.plausibility import header_checks, patient_checks
from petct_ext.errors import InputDataError
from tests.dicom.pet_headers import nuclide_code, pet_headers

FINE, NOT_FINE, NOT_MEASURED = CheckState.FINE, CheckState.NOT_FINE, CheckState.NOT_MEASURED


def by_name(**changes: Any) -> dict[str, Check]:
    return {c.name: c for c in header_checks(pet_headers(**changes), decide_suv=True)}


def test_usual_patient_is_fine_in_all() -> None:
    checks = by_name()
    assert {c.state for c in checks.values()} == {FINE}
    assert checks["body_mass_index"].value == pytest.approx(70 / 1.75**2)
    assert checks["dose_per_kg"].value == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("changes", "name", "is_hard", "text"),
    [
        ({"PatientWeight": 9.0}, "body_mass_index", True, r"\(0010,1030\) 9 kg .* of 2\.9 kg/m2"),
        ({"PatientWeight": 300.0}, "body_mass_index", True, "98.0 kg/m2, outside 10 to 80"),
        (
            {"PatientWeight": 154.0},
            "weight_unit",
            False,
            "154 kg gives 50 .*may be in pounds, 70 kg and 23",
        ),
        ({"PatientWeight": 250.0}, "body_mass_index", True, "may be in pounds, 113 kg and 37"),
        ({"PatientSize": 175.0}, "height", False, r"\(0010,1020\) is 175, .* m: taken for cm"),
        ({"PatientSize": 69.0}, "height", False, "cm of a child or inches of an adult"),
        ({"PatientSize": 0.02}, "height", False, "in no unit that is known"),
        (
            {"RadionuclideTotalDose": 3.5e9},
            "dose_per_kg",
            True,
            r"\(0018,1074\) 3500 MBq for 70 kg is 50 MBq/kg, outside 0\.3 to 15",
        ),
        ({"RadionuclideTotalDose": 14e6}, "dose_per_kg", True, "0.2 MBq/kg, outside"),
        (
            {"RadionuclideTotalDose": 35e6},
            "dose_per_kg",
            False,
            "0.5 MBq/kg, below 1: usual on",
        ),
    ],
)
def test_absurd_value_is_found(
    changes: dict[str, Any], name: str, is_hard: bool, text: str
) -> None:
    check = by_name(**changes)[name]
    assert (check.state, check.is_hard) == (NOT_FINE, is_hard)
    with pytest.raises(InputDataError, match=text):
        require_acceptable([Check(name, NOT_FINE, check.text, is_hard=True)], ())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"PatientSize": None}, "height"),
        ({"PatientSize": 0.0}, "body_mass_index"),
        ({"PatientSize": None}, "weight_unit"),
        ({"PatientWeight": None}, "dose_per_kg"),
        ({"RadionuclideTotalDose": None}, "dose_per_kg"),
        (
            {
                "RadionuclideCodeSequence": [nuclide_code("C-131A3", "^68^Gallium")],
                "RadionuclideHalfLife": 4062.6,
            },
            "dose_per_kg",
        ),
    ],
)
def test_what_cannot_be_checked_is_said_and_is_not_fine(changes: dict[str, Any], name: str) -> None:
    assert by_name(**changes)[name].state is NOT_MEASURED


def test_height_in_cm_still_serves_the_body_mass_index() -> None:
    assert by_name(PatientSize=175.0)["body_mass_index"].value == pytest.approx(70 / 1.75**2)


def test_nothing_is_hard_where_suv_does_not_come_from_weight_and_dose() -> None:
    checks = header_checks(pet_headers(PatientWeight=9.0), decide_suv=False)
    assert not any(check.is_hard for check in checks)
    assert any(check.state is NOT_FINE for check in checks)


@given(weight=st.floats(2.5, 180), height=st.floats(0.5, 2.1), dose_per_kg=st.floats(1.0, 15.0))
def test_hard_is_only_what_lies_outside_the_stated_limits(
    weight: float, height: float, dose_per_kg: float
) -> None:
    checks = patient_checks(
        weight_kg=weight, height_m=height, dose_bq=dose_per_kg * weight * 1e6, decide_suv=True
    )
    hard = {c.name for c in checks if c.is_hard and c.state is NOT_FINE}
    assert hard <= {"body_mass_index", "dose_per_kg"}
    assert ("body_mass_index" in hard) == (not 10 <= weight / height**2 <= 80)


def test_finding_is_accepted_with_its_value_and_no_other() -> None:
    found = [Check("body_mass_index", NOT_FINE, "BMI 3", is_hard=True, value=3.114)]
    require_acceptable(found, ["body_mass_index=3.114"])
    for accepted in ([], ["body_mass_index"], ["body_mass_index=5"]):
        with pytest.raises(InputDataError, match=r"--accept \(check: body_mass_index, value: 3.1"):
            require_acceptable(found, accepted)
    with pytest.raises(InputDataError, match=r"'body_mas', which is not a check.*Did you mean"):
        require_acceptable(found, ["body_mas"])
