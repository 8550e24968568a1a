"""Pictures show patient right on the left, and are PNG files with something in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.image import imread

from petct_ext.errors import OutputError
from petct_ext.figures.overlays import ShownRegion, _coronal, _coronal_slice, draw_overlay

SHAPE = (24, 16, 40)
Volume = npt.NDArray[np.float32]


def volumes() -> tuple[Volume, Volume]:
    """Returns PET without uptake and CT of air."""
    return np.zeros(SHAPE, np.float32), np.full(SHAPE, -1000, np.float32)


def draw(path: Path, pet: Volume, attention: Volume | None = None, *, findings: int = 1) -> Volume:
    one = ShownRegion("Liver", 0.8, float("nan"), volumes()[0] if attention is None else attention)
    draw_overlay(
        path, pet, volumes()[1], [one] * findings, spacing_mm=(8.0, 8.0, 11.0), caption="exam E1"
    )
    picture: Volume = imread(path)[..., :3]
    return picture


def center_of_change(before: Volume, after: Volume) -> tuple[float, float]:
    """Returns the row and column of the picture, in [0, 1], where the two differ."""
    rows, columns = np.nonzero(np.abs(before - after).sum(axis=2) > 0.2)
    return float(rows.mean() / before.shape[0]), float(columns.mean() / before.shape[1])


def test_patient_right_is_at_the_left_and_the_head_is_up() -> None:
    plane = np.zeros((5, 7), np.float32)
    plane[4, 6] = 1.0  # X grows to the right of the patient, Z to the head
    drawn = _coronal(plane)
    assert drawn.shape == (7, 5)
    assert drawn[0, 0] == 1.0


def test_uptake_of_the_patient_right_moves_the_picture_to_the_left(tmp_path: Path) -> None:
    """Looked for in the file itself: each panel shows it on its left half, near the top."""
    empty = draw(tmp_path / "empty.png", volumes()[0], findings=0)
    right, left = volumes()[0], volumes()[0]
    right[20:23, 8, 33:36] = 9.0
    left[1:4, 8, 33:36] = 9.0
    row_r, column_r = center_of_change(empty, draw(tmp_path / "r.png", right, findings=0))
    row_l, column_l = center_of_change(empty, draw(tmp_path / "l.png", left, findings=0))
    assert column_r < column_l - 0.1
    assert row_r == pytest.approx(row_l, abs=0.02)
    assert row_r < 0.5


def test_attention_is_drawn_over_the_place_that_it_marks(tmp_path: Path) -> None:
    pet = volumes()[0]
    without = draw(tmp_path / "without.png", pet)
    columns = []
    for x in (20, 2):
        attention = volumes()[0]
        attention[x - 1 : x + 2, 8, 4:7] = 1.0
        row, column = center_of_change(without, draw(tmp_path / f"{x}.png", pet, attention))
        columns.append(column)
        assert row > 0.5
        assert column > 0.6  # the third of three panels
    assert columns[0] < columns[1]


def test_ct_slice_passes_the_hottest_voxel_of_the_trunk() -> None:
    pet = volumes()[0]
    pet[5, 3, 20] = 6.0
    pet[5, 12, 39] = 50.0  # brain
    pet[5, 14, 1] = 60.0  # bladder
    assert _coronal_slice(pet) == 3


@pytest.mark.parametrize("num_slices", [1, 2, 5])
def test_few_slices_can_be_drawn(tmp_path: Path, num_slices: int) -> None:
    pet, ct = (volume[:, :, :num_slices] for volume in volumes())
    finding = ShownRegion("Liver", 0.5, 1.0, pet)
    draw_overlay(tmp_path / "a.png", pet, ct, [finding], spacing_mm=(8, 8, 11), caption="")
    assert imread(tmp_path / "a.png").std() > 0


def test_picture_is_a_png_and_nothing_else_remains(tmp_path: Path) -> None:
    picture = draw(tmp_path / "new" / "E1.png", volumes()[0] + 1, findings=3)
    assert (tmp_path / "new" / "E1.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["E1.png"]
    assert picture.std() > 0


def test_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be written to"):
        draw(tmp_path / "file" / "E1.png", volumes()[0])
