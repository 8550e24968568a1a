"""The small pictures of an exam show it the right way round."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from petct_ext.dicom.checking.anatomy import ExamVolumes
from petct_ext.figures.exam_quality import draw_thumbnails

SPACING = (4.0, 4.0, 4.0)


def body(*, liver_suv: float = 2.0) -> ExamVolumes:
    """A trunk with lungs, spine and, on the right below the lung, a liver; X to the right."""
    ct = np.full((80, 80, 160), -1000.0, dtype=np.float32)
    pet = np.zeros_like(ct)
    ct[15:65, 20:60], pet[15:65, 20:60] = -80.0, 0.5  # fat
    ct[36:44, 22:30] = 400.0  # spine, at the back
    for x in (slice(18, 34), slice(46, 62)):
        ct[x, 30:52, 90:130] = -800.0
    ct[42:62, 28:54, 70:90], pet[42:62, 28:54, 70:90] = 60.0, liver_suv
    return ExamVolumes(pet, ct, SPACING)


def test_picture_shows_patient_right_at_the_left_head_up_and_front_at_the_left() -> None:
    exam = body()
    exam.pet[:] = 0.0
    exam.pet[60:64, 36:44, 150:154] = 7.0  # right shoulder
    exam.ct[36:44, 56:60] = 400.0  # breastbone, brighter in front than at the back
    exam.ct[36:44, 22:30] = -80.0
    sheet = np.asarray(Image.open(io.BytesIO(draw_thumbnails(exam, is_suv=True))).convert("L"))
    width = (sheet.shape[1] - 18) // 4
    projection = sheet[16:, width + 6 : 2 * width + 6].astype(float)
    top, left = np.unravel_index(int(projection[5:, 12:-12].argmin()), projection[5:, 12:-12].shape)
    assert left < width / 2 - 12
    assert top < projection.shape[0] / 4
    sagittal = sheet[40:-20, 3 * width + 18 :].astype(float).mean(axis=0)
    assert sagittal.argmax() < width / 2
