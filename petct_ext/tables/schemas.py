"""Columns of the tables through which steps and bundles meet; ``tables.py`` reads and checks."""

from __future__ import annotations

from types import MappingProxyType

from petct_ext.tables.contract import Column, Kind, Schema, read_table, write_table

__all__ = [
    "ACCEPTED",
    "ANNOTATIONS",
    "CHECKS",
    "EXAMS",
    "HAND_LABELS",
    "IDENTIFIERS",
    "LABELS",
    "MENTIONS",
    "OUTCOMES",
    "PREDICTIONS",
    "PREPARED",
    "REPORTS",
    "SERIES",
    "SPLITS",
    "SURVIVAL",
    "SUV_OVERRIDES",
    "Column",
    "Kind",
    "Schema",
    "read_table",
    "write_table",
]


def _schema(
    name: str, *, key: tuple[str, ...] = (), others: Column | None = None, **columns: Column
) -> Schema:
    return Schema(name, MappingProxyType(columns), key, others)


_TEXT = Column()
_MAYBE_TEXT = Column(required=False, filled=False)
_NUMBER = Column(Kind.NUMBER)
_MAYBE_NUMBER = Column(Kind.NUMBER, required=False, filled=False)
_INTEGER = Column(Kind.INTEGER)
_DATE = Column(Kind.DATE)
_MAYBE_DATE = Column(Kind.DATE, filled=False)
_CT_MATCHES = ("frame_of_reference", "another_frame_of_reference", "assumed_registered")

# What a group brings. Keys are raw DICOM identifiers, so these files stay in the hospital.

REPORTS = _schema(
    "reports",
    key=("study_instance_uid",),
    study_instance_uid=_TEXT,  # DICOM (0020,000D)
    text=Column(filled=False, verbatim=True),
    indication=_MAYBE_TEXT,
    summary_code=Column(required=False, filled=False, choices=("1", "2", "4", "9")),
    report_date=_MAYBE_TEXT,  # tells the order of several reports of a study
)
"""Free-text reports, unchanged text. A table of users may have several rows per study (addenda,
corrections); :func:`petct_ext.reports.rows.read_report_rows` makes one of them."""

ANNOTATIONS = _schema(
    "annotations",
    key=("study_instance_uid", "start", "end", "region"),
    study_instance_uid=_TEXT,
    start=_INTEGER,
    end=_INTEGER,
    region=_TEXT,
    abnormal=Column(Kind.BINARY),
)
"""Mentions that a reader has judged; ``start`` and ``end`` are offsets into the report's text."""

OUTCOMES = _schema(
    "outcomes",
    key=("patient_id",),
    patient_id=_TEXT,  # DICOM (0010,0020)
    death_date=_MAYBE_DATE,
    last_contact_date=_MAYBE_DATE,
)
"""Follow-up, one row per patient: date of death, or else the date when last known alive."""

HAND_LABELS = _schema(
    "hand labels",
    key=("study_instance_uid",),
    others=Column(Kind.BINARY, filled=False),
    study_instance_uid=_TEXT,
)
"""A reader's judgement per region (one column each), used for scoring only."""

# What the steps write. Ids are pseudonymous.

IDENTIFIERS = _schema(
    "identifiers",
    key=("exam_id",),
    exam_id=_TEXT,
    patient_id=_TEXT,
    study_instance_uid=_TEXT,
    raw_patient_id=_TEXT,
    date_shift_days=Column(Kind.INTEGER, required=False, filled=False),  # added to true dates
)
"""The only table that links pseudonymous ids to identities; lies in ``private/``."""

EXAMS = _schema(
    "exams",
    key=("exam_id",),
    exam_id=_TEXT,
    patient_id=_TEXT,
    exam_date=_MAYBE_DATE,  # empty where the headers hold none: then without follow-up
    status=Column(choices=("ok", "quarantined")),
    reason=_MAYBE_TEXT,
    pet_series=_MAYBE_TEXT,
    ct_series=_MAYBE_TEXT,
    sex=Column(required=False, filled=False, choices=("F", "M", "O")),
    age_years=_MAYBE_NUMBER,
    weight_kg=_MAYBE_NUMBER,
    height_m=_MAYBE_NUMBER,
    study_description=_MAYBE_TEXT,
    manufacturer=_MAYBE_TEXT,
    model=_MAYBE_TEXT,
    tracer=_MAYBE_TEXT,
    injected_dose_bq=_MAYBE_NUMBER,
    uptake_min=_MAYBE_NUMBER,  # by a few slices' headers; preparation checks all and is exact
    ct_match=Column(required=False, filled=False, choices=_CT_MATCHES),
    notes=_MAYBE_TEXT,
)
"""One row per exam with its chosen PET and CT series."""

SERIES = _schema(
    "series",
    key=("exam_id", "series_id"),  # a CT of its own study may serve several exams
    series_id=_TEXT,
    exam_id=_TEXT,
    modality=_TEXT,
    description=_MAYBE_TEXT,
    num_slices=_INTEGER,
    extent_mm=_MAYBE_NUMBER,
    chosen=Column(Kind.BINARY),
    reason=_TEXT,
    reconstruction=_MAYBE_TEXT,  # method, filter or kernel, matrix, pixel
    choice_rule=_MAYBE_TEXT,  # the rule that decided among series that would do
)
"""One row per series with the reason why it was chosen or left out."""

PREPARED = _schema(
    "prepared exams",
    key=("exam_id",),
    exam_id=_TEXT,
    status=Column(choices=("ok", "quarantined")),
    reason=_MAYBE_TEXT,
    pet=Column(filled=False),
    ct=Column(filled=False),
    num_slices=Column(Kind.INTEGER, filled=False),
    suv_bw_factor=_MAYBE_NUMBER,
    pet_units=_MAYBE_TEXT,  # empty in tables of earlier versions, which knew SUVbw only
    warnings=_MAYBE_TEXT,  # what is not fine about an exam that is used all the same
)
"""Volumes on one grid: CT in HU, PET in ``pet_units``; paths relative to the table."""

SUV_OVERRIDES = _schema(
    "SUV overrides",
    key=("exam_id",),
    exam_id=_TEXT,
    weight_kg=_MAYBE_NUMBER,
    height_m=_MAYBE_NUMBER,
    injected_dose_bq=_MAYBE_NUMBER,
    half_life_s=_MAYBE_NUMBER,
    injection_time=_MAYBE_TEXT,
    suv_bw_factor=_MAYBE_NUMBER,
)
"""What a group supplies where DICOM headers lack it or are known to be wrong."""

ACCEPTED = _schema(
    "accepted findings",
    key=("exam_id", "check"),
    exam_id=_TEXT,
    check=_TEXT,  # name of the check, as the reason in prepared.csv gives it
    value=_MAYBE_NUMBER,  # what it has found, as the reason gives it; another value asks again
    reason=_MAYBE_TEXT,
)
"""Implausible findings that a person has looked at and accepts, one row per exam and check."""

CHECKS = _schema(
    "checks of exams",
    key=("exam_id", "check"),
    exam_id=_TEXT,
    check=_TEXT,
    state=Column(choices=("fine", "not fine", "not measured")),
    text=Column(filled=False),
    is_hard=Column(Kind.BINARY),
    accepted=Column(Kind.BINARY),
    value=_MAYBE_NUMBER,
    unit=_MAYBE_TEXT,
)
"""What was checked about prepared exams, one row per exam and check; see
:class:`petct_ext.dicom.checking.check.Check`."""

MENTIONS = _schema(
    "mentions",
    exam_id=_TEXT,
    section=_TEXT,
    sentence=_INTEGER,
    start=_INTEGER,
    end=_INTEGER,
    region=_TEXT,
    probability=Column(Kind.PROBABILITY),
)
"""Every mention with the probability that it is said to be abnormal; offsets into the report."""

LABELS = _schema(
    "labels", key=("exam_id",), others=Column(Kind.PROBABILITY, filled=False), exam_id=_TEXT
)
"""Weak labels: probability that a region is described as abnormal, one column per region."""

SPLITS = _schema(
    "splits",
    key=("exam_id",),
    exam_id=_TEXT,
    patient_id=_TEXT,
    split=Column(choices=("training", "validation", "test")),
)
"""Which exam is used for what; a patient never has two values of ``split``."""

PREDICTIONS = _schema(
    "predictions",
    key=("experiment", "seed", "split", "task", "exam_id"),
    experiment=_TEXT,
    seed=_INTEGER,
    split=_TEXT,
    task=_TEXT,
    exam_id=_TEXT,
    target=Column(Kind.PROBABILITY, filled=False),
    prob=Column(Kind.PROBABILITY),
    target_kind=Column(required=False, choices=("weak", "hand", "outcome")),
)
"""Long form: one row per experiment, seed, task and exam; ``target_kind`` says who judged."""

SURVIVAL = _schema(
    "survival table",
    key=("patient_id",),
    patient_id=_TEXT,
    exam_id=_TEXT,
    split=Column(choices=("training", "validation", "test")),
    time_days=_NUMBER,
    event=Column(Kind.BINARY),
    age_years=Column(Kind.NUMBER, filled=False),
    sex=Column(filled=False, choices=("F", "M", "O")),
    indication=Column(filled=False),
    summary_code=Column(filled=False, choices=("1", "2", "4", "9")),
)
"""One row per patient: days from the last exam to death (``event`` 1) or last contact (0)."""
