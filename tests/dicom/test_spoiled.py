"""Ten exams that went wrong, each in its way, beside good ones: what the checks say of them."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.cohort.index import index_exams
from petct_ext.cohort.preparation import prepare_exams
from petct_ext.dicom.checking.alignment import has_itk
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.pages.quality import write_quality_page
from tests.dicom import spoiled
from tests.dicom.spoiled import SPOILS, judge, slices_of, write_spoiled_cohort

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_NUM_GOOD = 2


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoiled") / "cohort"
    write_spoiled_cohort(folder, num_good=_NUM_GOOD)
    return folder


@pytest.fixture(scope="module")
def judged(out: Path) -> pd.DataFrame:
    """What index, preparation and quality page say, by spoil."""
    work = out.parent / "work"
    index_exams(out / "dicom", work, salt="0" * 32)
    prepare_exams(work, grid=GridChoice(in_plane=128, field_of_view_mm=500.0))
    write_quality_page(work, alignment="itk" if has_itk() else "none")
    return judge(out, work)


@pytest.fixture
def study(out: Path, tmp_path: Path) -> Path:
    """A good study to spoil."""
    table = pd.read_csv(out / "spoiled.csv", keep_default_na=False)
    uid = table.study_instance_uid[table.spoil == ""].iloc[0]
    (folder,) = (out / "dicom").glob(f"*/{uid}")
    return Path(shutil.copytree(folder, tmp_path / uid))


def _values(study: Path, modality: str) -> np.ndarray:
    """Rescaled values (Z, rows, columns)."""
    return np.stack(
        [
            one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)
            for _, one in slices_of(study, modality)
        ]
    )


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_pixels_are_spoiled_as_said(study: Path, modality: str) -> None:
    before = _values(study, modality)
    spoiled.both_mirrored(study)
    np.testing.assert_allclose(_values(study, modality), before[:, :, ::-1])
    spoiled.both_upside_down(study)
    np.testing.assert_allclose(_values(study, modality), before[::-1, :, ::-1])


def test_ct_is_1000_hu_too_high(study: Path) -> None:
    before = _values(study, "CT")
    spoiled.ct_1000_hu(study)
    np.testing.assert_allclose(_values(study, "CT"), before + 1000)


def test_three_slices_of_the_pet_are_empty(study: Path) -> None:
    spoiled.three_empty_slices(study)
    assert (_values(study, "PT").max(axis=(1, 2)) == 0).sum() == spoiled.EMPTY_SLICES


def test_hottest_voxels_of_signed_pet_turn_negative(study: Path) -> None:
    before = _values(study, "PT")
    spoiled.pet_marked_signed(study)
    after = _values(study, "PT")
    assert after.min() < 0
    np.testing.assert_allclose(after[after > 0], before[after > 0], rtol=1e-6)


def test_head_is_blanked_and_the_rest_is_not(study: Path) -> None:
    before = _values(study, "PT")
    spoiled.head_blanked(study)
    after = _values(study, "PT")
    half = len(before) // 2
    np.testing.assert_array_equal(after[:half], before[:half])
    assert after[-8:].max() < 0.2 * before[-8:].max()


def test_good_exams_are_not_flagged(judged: pd.DataFrame) -> None:
    good = judged[judged.spoil == ""]
    assert good.state.tolist() == ["fine"] * _NUM_GOOD, good.reason.tolist()


@pytest.mark.parametrize("name", sorted(SPOILS))
def test_spoiled_exam_is_found_before_the_good_ones(name: str, judged: pd.DataFrame) -> None:
    if name == "pet_shifted" and not has_itk():
        pytest.skip("itk is not installed (the extra itk)")
    if name not in _FOUND_BY_THE_PAGE and not find_spec("petct_ext.dicom.checking.volume_checks"):
        pytest.skip("the checks of headers and volumes are not there yet")
    (row,) = judged[judged.spoil == name].to_dict("records")
    assert row["state"] != "fine"
    assert row["reason"]
    assert row["place"] < judged.place[judged.spoil == ""].min()


_FOUND_BY_THE_PAGE = ("pet_shifted", "weight_9_kg", "dose_tenfold")
