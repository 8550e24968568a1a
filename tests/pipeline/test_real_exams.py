"""Real CT and PET pairs go the way of every exam, from files as a scanner wrote them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from petct_ext.cohort.index import index_exams
from petct_ext.cohort.preparation import prepare_exams
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.scan.data.datalist import build_datalist, load_datalist
from tests.conftest import shared_data
from tests.package_regions import ONTOLOGY

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with the three cropped pairs, prepared on a coarse grid."""
    folder = tmp_path_factory.mktemp("real")
    index_exams(shared_data("petct_ge_sts_cropped"), folder, salt="a secret of the tests")
    prepare_exams(folder, grid=GridChoice(in_plane=64, field_of_view_mm=320.0))
    return folder


def test_all_three_pairs_are_listed_for_prediction(work: Path) -> None:
    assert build_datalist(work, work / "datalist.json", ontology=ONTOLOGY)["test"] == 3
    assert len(load_datalist(work / "datalist.json", "all", ["liver"])) == 3


def test_tumor_is_hot_in_the_pet_and_soft_tissue_in_the_ct(work: Path) -> None:
    """Each box was cropped around a tumor; its hottest voxel is tissue in the CT beside it."""
    for folder in sorted((work / "volumes").iterdir()):
        pet, ct = (nib.Nifti1Image.from_filename(folder / f"{k}.nii") for k in ("pet", "ct"))
        np.testing.assert_allclose(pet.affine, ct.affine)
        suv, hu = pet.get_fdata(), ct.get_fdata()
        assert 3.0 < suv.max() < 30.0
        assert -150.0 < hu[np.unravel_index(suv.argmax(), suv.shape)] < 300.0


def test_cropped_box_lies_in_air(work: Path) -> None:
    for folder in sorted((work / "volumes").iterdir()):
        pet, ct = (nib.Nifti1Image.from_filename(folder / f"{k}.nii") for k in ("pet", "ct"))
        assert pet.shape[:2] == (64, 64)
        assert pet.get_fdata()[0, 0].max() == 0.0
        assert ct.get_fdata()[0, 0].max() == -1024.0
