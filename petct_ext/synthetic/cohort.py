"""A whole artificial study on disk: DICOM, reports, follow-up, and the truth beside them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
from tqdm import tqdm

from petct_ext import __version__
from petct_ext.errors import InputDataError, OutputError
from petct_ext.files import atomic_path, make_folder, read_json, write_json, write_text
from petct_ext.ontology.regions import RegionOntology
from petct_ext.processes import new_pool
from petct_ext.synthetic.cohort_tables import Rows, Truth, write_cohort_tables, write_truth
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.patients import Exam, Patient, with_sides
from petct_ext.synthetic.phantoms.anatomy import Body, build_body
from petct_ext.synthetic.phantoms.dicom_encoding import new_study, patient_id, study_uid
from petct_ext.synthetic.phantoms.dicom_files import (
    write_ct_series,
    write_localizer,
    write_pet_series,
    write_screenshot,
)
from petct_ext.synthetic.phantoms.images import (
    PlacedLesion,
    VoxelGrid,
    draw_ct,
    draw_lesions,
    draw_pet,
    place_lesions,
)
from petct_ext.synthetic.phantoms.scanner import (
    SCAN_SIZES,
    acquire_ct,
    acquire_pet,
    scan_grids,
    without_attenuation_correction,
)
from petct_ext.synthetic.phantoms.truth import box_rows, lesion_rows

__all__ = ["PROJECT_SALT", "write_cohort"]

_LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")

PROJECT_SALT = "phantom-cohort-salt-is-public-and-fixed"
"""Salt of the pseudonyms: fixed, so that the demo is the same on every machine."""

_STATEMENT = (
    "Everything in this folder is artificial: digital patients drawn from formulas by petct_ext. "
    "No human being was scanned, and no report describes one."
)
_README = f"""{_STATEMENT}

dicom/            CT and PET series as a scanner writes them
reports.csv       one free-text report per exam
annotations.csv   mentions in some of the reports, judged (the phantom knows the answer)
outcomes.csv      follow-up, drawn from a known proportional-hazards model
hand_labels.csv   which regions hold a lesion; for scoring only
project_salt.txt  salt of the pseudonyms; fixed here, secret in a real study
truth/            lesions, boxes around them and the regions that hold them (RAS+ in mm), masks and
                  hazards; never read by the pipeline except to score it
cohort.json       with what all this was made

Written by scripts/make_synthetic_data.py; the same seed gives the same files. Do not use it as
evidence about patients: it tests software.
"""
# Streams of random numbers; tables use 2-4, a body 10-12, a study 13.
_IMAGE, _EXTRA = 1, 14
_LOCALIZER_CHANCE, _UNCORRECTED_CHANCE, _SCREENSHOT_CHANCE = 0.20, 0.06, 0.12


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs to make the images of one patient."""

    folder: Path
    patient: Patient
    seed: int
    size: str
    masks: bool
    ontology: RegionOntology


def write_cohort(
    folder: str | Path,
    *,
    num_patients: int,
    seed: int,
    size: str,
    ontology: RegionOntology,
    workers: int = 1,
    num_annotated: int = 60,
    masks: bool = False,
) -> None:
    """Writes a cohort of digital patients in the form in which a group brings its own.

    Patients that are finished already are kept, so an interrupted run goes on where it stopped,
    and a finished cohort can be enlarged. ``cohort.json`` appears last.

    Args:
        folder: where to; new, empty, or begun with the same seed and size.
        num_patients: how many patients, at least 1; about 1.25 exams each.
        seed: equal seeds give equal files, whatever ``workers`` is.
        size: ``"small"`` (about 4 MB per exam) or ``"full"`` (about 170 MB per exam).
        ontology: regions of lesions, reports and truth. One that adds regions to the package's
            fills those that are a side of a paired organ; others stay normal.
        workers: processes; each needs about 0.25 GB if small and 1 GB if full.
        num_annotated: how many reports are in ``annotations.csv``.
        masks: whether to write ``truth/masks/<StudyInstanceUID>.nii.gz``: on the grid of the PET,
            1 + the row of the lesion among those of the exam in ``truth/lesions.csv``.

    Raises:
        InputDataError: if an argument is out of range or the folder holds something else.
        OutputError: if the folder cannot be written to.
    """
    folder = Path(folder)
    _check(folder, num_patients=num_patients, seed=seed, size=size, workers=workers)
    patients = with_sides(sample_patients(num_patients, seed=seed), ontology, seed=seed)
    make_folder(folder / "dicom")
    (folder / "cohort.json").unlink(missing_ok=True)
    settings = {"seed": seed, "size": size}
    write_json(folder / "truth" / "settings.json", settings)
    jobs = [_Job(folder, patient, seed, size, masks, ontology) for patient in patients]
    truth = _write_images(jobs, workers=workers)
    num_exams = write_cohort_tables(
        folder, patients, seed=seed, num_annotated=num_annotated, ontology=ontology
    )
    write_truth(folder / "truth", truth)
    write_text(folder / "project_salt.txt", PROJECT_SALT + "\n")
    write_text(folder / "README.txt", _README)
    facts = {"num_patients": num_patients, "num_exams": num_exams, "version": __version__}
    write_json(folder / "cohort.json", {"artificial": _STATEMENT, **settings, **facts})
    _LOGGER.info("wrote %d exams of %d patients to %s", num_exams, num_patients, folder)


def _check(folder: Path, *, num_patients: int, seed: int, size: str, workers: int) -> None:
    for name, value, least in (
        ("num_patients", num_patients, 1),
        ("seed", seed, 0),
        ("workers", workers, 1),
    ):
        if value < least:
            raise InputDataError(f"{name} is {value}; it must be at least {least}.")
    if size not in SCAN_SIZES:
        raise InputDataError(f"size is {size!r}; it must be one of {', '.join(SCAN_SIZES)}.")
    settings = folder / "truth" / "settings.json"
    if not settings.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputDataError(
                f"{folder} is not empty and holds no phantom cohort; choose another folder, so "
                "that nothing of yours is overwritten."
            )
        return
    found = read_json(settings)
    if found != {"seed": seed, "size": size}:
        raise InputDataError(
            f"{folder} holds a phantom cohort of seed {found.get('seed')} and size "
            f"{found.get('size')!r}; choose another folder, or ask for those."
        )
    if (folder / "dicom" / f"PHANTOM{num_patients:04d}").exists():
        raise InputDataError(
            f"{folder} holds more than {num_patients} patients; choose another folder or ask for "
            "as many."
        )


def _has_images(job: _Job) -> bool:
    return (job.folder / "dicom" / patient_id(job.patient)).is_dir()


def _mask_paths(job: _Job) -> dict[int, Path]:
    """Returns the mask files that the job has to write, by number of the exam."""
    if not job.masks:
        return {}
    root = job.folder / "truth" / "masks"
    return {
        e.number: root / f"{study_uid(job.patient, e, seed=job.seed)}.nii.gz"
        for e in job.patient.exams
    }


def _write_images(jobs: list[_Job], *, workers: int) -> list[Truth]:
    """Writes what is missing of each patient and returns what is in all, in the order of jobs."""
    with tqdm(total=len(jobs), desc="phantoms", unit="patient", disable=None) as bar:
        if workers == 1 or len(jobs) < 2:
            return [_write_patient(job) for job in _counted(jobs, bar)]
        try:
            with new_pool(workers) as pool:
                futures = [pool.submit(_write_patient, job) for job in jobs]
                try:
                    for future in _counted(as_completed(futures), bar):
                        future.result()
                except BaseException:
                    pool.shutdown(cancel_futures=True)  # one failed: start no others
                    raise
                return [future.result() for future in futures]
        except BrokenProcessPool:
            raise OutputError(
                f"a worker process was ended from outside, most likely for lack of memory; run "
                f"again with fewer workers than {workers}."
            ) from None


def _counted(items: Iterable[_T], bar: Any) -> Iterable[_T]:
    for item in items:
        yield item
        bar.update()


def _write_patient(job: _Job) -> Truth:
    """Writes all images of a patient; they appear under their final name when complete."""
    final = job.folder / "dicom" / patient_id(job.patient)
    partial = final.with_name(f".partial_{final.name}")
    shutil.rmtree(partial, ignore_errors=True)
    has_images = _has_images(job)
    lesions: Rows = []
    boxes: Rows = []
    try:
        for exam in job.patient.exams:
            of_exam = _write_exam(None if has_images else partial, job, exam)
            lesions += of_exam[0]
            boxes += of_exam[1]
        if not has_images:
            partial.rename(final)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{final} cannot be written: {error.strerror or error}.") from None
    return lesions, boxes


def _write_exam(patient_folder: Path | None, job: _Job, exam: Exam) -> Truth:
    """Draws an exam; writes its series (unless there are any) and its mask (if it is missing)."""
    patient, seed = job.patient, job.seed
    body = build_body(patient, exam, seed=seed)
    lesions = place_lesions(patient, exam, body, ontology=job.ontology, seed=seed)
    mask_path = _mask_paths(job).get(exam.number)
    if mask_path is not None and not mask_path.exists():
        _write_mask(mask_path, lesions, scan_grids(body, size=job.size)[0])
    if patient_folder is not None:
        _write_series(patient_folder, job, exam, body, lesions)
    uid = study_uid(patient, exam, seed=seed)
    boxes = box_rows(uid, body, lesions, ontology=job.ontology)
    return list(lesion_rows(uid, lesions)), list(boxes)


def _write_series(
    patient_folder: Path, job: _Job, exam: Exam, body: Body, lesions: tuple[PlacedLesion, ...]
) -> None:
    patient, seed = job.patient, job.seed
    pet_grid, ct_grid = scan_grids(body, size=job.size)
    study = new_study(patient, exam, seed=seed)
    # What the patient looks like must not depend on how many voxels the noise has.
    key = [seed, patient.number, _IMAGE, exam.number]
    look, noise = np.random.default_rng([*key, 0]), np.random.default_rng([*key, 1])
    folder = patient_folder / study.uid("study")
    ct = acquire_ct(draw_ct(body, lesions, grid=ct_grid, rng=look), grid=ct_grid, rng=noise)
    write_ct_series(folder, ct, grid=ct_grid, study=study)
    pet = acquire_pet(
        draw_pet(body, exam.physiology, lesions, grid=pet_grid, rng=look),
        body,
        grid=pet_grid,
        bq_per_g=study.bq_per_g,
        frame_s=study.frame_s,
        rng=noise,
    )
    write_pet_series(folder, pet, grid=pet_grid, study=study)
    # Real studies hold more than the two series that are wanted.
    extra = np.random.default_rng([seed, patient.number, _EXTRA, exam.number]).random(3)
    if extra[0] < _LOCALIZER_CHANCE:
        write_localizer(folder, ct, grid=ct_grid, study=study)
    if extra[1] < _UNCORRECTED_CHANCE:
        dim = without_attenuation_correction(pet, grid=pet_grid)
        write_pet_series(folder, dim, grid=pet_grid, study=study, corrected=False)
    if extra[2] < _SCREENSHOT_CHANCE:
        write_screenshot(folder, pet, study=study)


def _write_mask(path: Path, lesions: tuple[PlacedLesion, ...], grid: VoxelGrid) -> None:
    image = nib.Nifti1Image(draw_lesions(lesions, grid=grid), grid.affine())
    with atomic_path(path) as partial:
        nib.save(image, partial)
