"""Labels of the mortality bundle: any horizon, censored patients without one, each patient once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.files import write_json
from petct_ext.survival.outcome_items import load_outcomes
from petct_ext.survival.outcomes import status_at

TASKS = ["dead_within_45_days", "dead_within_365_days"]


def item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "exam_id": f"E{number}",
        "patient_id": f"P{number}",
        "pet": "volume.nii",
        "ct": "volume.nii",
    } | more


def datalist(folder: Path, *items: dict[str, Any]) -> Path:
    (folder / "volume.nii").touch()
    return write_json(folder / "datalist.json", {"training": list(items)})


@pytest.fixture
def followed(tmp_path: Path) -> Path:
    """Dead on day 30; dead on day 200; last seen on day 40; alive on day 400."""
    times = ((30, 1), (200, 1), (40, 0), (400, 0))
    return datalist(
        tmp_path,
        *(item(i, time_days=time, event=event) for i, (time, event) in enumerate(times)),
    )


def test_any_horizon_follows_from_the_follow_up(followed: Path) -> None:
    labels = np.stack([exam["label"] for exam in load_outcomes(followed, "training", TASKS)])
    np.testing.assert_array_equal(labels, [[1, 1], [0, 1], [np.nan, np.nan], [0, 0]])
    assert labels.dtype == np.float32


def test_censored_can_count_as_alive_as_in_the_paper(followed: Path) -> None:
    exams = load_outcomes(followed, "training", TASKS, censored="alive")
    np.testing.assert_array_equal([e["label"] for e in exams], [[1, 1], [0, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize(
    ("censored", "meaning"),
    [("unknown", "no label: not in loss and AUROC"), ("alive", "counted as alive")],
)
def test_log_tells_how_many_are_censored(
    followed: Path, caplog: pytest.LogCaptureFixture, censored: str, meaning: str
) -> None:
    with caplog.at_level(logging.INFO):
        load_outcomes(followed, "training", TASKS[:1], censored=censored)
    assert caplog.messages == [
        f"dead_within_45_days, training: 4 patients, 1 dead, 2 alive, 1 censored before ({meaning})"
    ]


@given(st.lists(st.tuples(st.integers(0, 800), st.integers(0, 1)), min_size=1, max_size=6))
def test_follow_up_and_written_labels_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, times: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    status = status_at(*zip(*times, strict=True), horizon_days=45)
    written = [
        item(i, labels={TASKS[0]: None if np.isnan(value) else int(value)})
        for i, value in enumerate(status)
    ]
    followed = [item(i, time_days=time, event=event) for i, (time, event) in enumerate(times)]
    for items in (written, followed):
        exams = load_outcomes(datalist(folder, *items), "training", TASKS[:1])
        np.testing.assert_array_equal([exam["label"][0] for exam in exams], status)


def test_written_label_wins_over_the_follow_up(tmp_path: Path) -> None:
    path = datalist(tmp_path, item(0, time_days=500, event=0, labels={TASKS[0]: None}))
    assert np.isnan(load_outcomes(path, "training", TASKS[:1])[0]["label"][0])


@pytest.mark.parametrize("censored", ["unknown", "alive"])
def test_exams_without_any_outcome_serve_prediction_only(tmp_path: Path, censored: str) -> None:
    path = datalist(tmp_path, item(0), item(1) | {"patient_id": "P0"})
    exams = load_outcomes(path, "all", TASKS, censored=censored)
    assert np.isnan([exam["label"] for exam in exams]).all()


def test_patient_with_two_exams_is_refused(tmp_path: Path) -> None:
    path = datalist(
        tmp_path,
        item(0, time_days=5, event=1),
        item(1, time_days=9, event=1) | {"patient_id": "P0"},
    )
    with pytest.raises(InputDataError, match="'P0' has 2 exams, but each patient counts once"):
        load_outcomes(path, "training", TASKS)


@pytest.mark.parametrize(
    ("tasks", "options", "told"),
    [
        (["death"], {}, "'death' is no outcome; name it like 'dead_within_180_days'"),
        (["dead_within_0_days"], {}, "positive number of days"),
        (TASKS, {"censored": "alife"}, r"expected one of unknown, alive\. Did you mean 'alive'"),
        (TASKS, {}, "nobody|no patient has 'dead_within_365_days', and time_days"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, tasks: list[str], options: dict[str, str], told: str
) -> None:
    path = datalist(tmp_path, item(0, labels={TASKS[0]: 1}))
    with pytest.raises(InputDataError, match=told):
        load_outcomes(path, "training", tasks, **options)


def test_label_that_is_no_outcome_is_refused(tmp_path: Path) -> None:
    path = datalist(tmp_path, item(0, labels={TASKS[0]: 0.4}))
    with pytest.raises(InputDataError, match=r"exam E0: dead_within_45_days is 0\.4, expected 1"):
        load_outcomes(path, "training", TASKS[:1])


HORIZONS = [f"dead_within_{days}_days" for days in (90, 180, 365)]


def _labels_of(path: Path, censored: str = "alive") -> list[list[float]]:
    return [
        exam["label"].tolist()
        for exam in load_outcomes(path, "training", HORIZONS, censored=censored)
    ]


@pytest.mark.parametrize("censored", ["unknown", "alive"])
def test_labels_at_other_horizons_tell_what_they_imply_and_no_more(
    tmp_path: Path, censored: str
) -> None:
    early, _, late = HORIZONS
    path = datalist(tmp_path, item(0, labels={early: 1}), item(1, labels={HORIZONS[1]: 0}),
                    item(2, labels={late: 1}), item(3, labels={late: 0}))  # fmt: skip
    nan = np.nan
    np.testing.assert_array_equal(
        _labels_of(path, censored), [[1, 1, 1], [0, 0, nan], [nan, nan, 1], [0, 0, 0]]
    )


def test_only_null_of_that_very_task_counts_as_alive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    early, middle, late = HORIZONS
    path = datalist(
        tmp_path,
        item(0, labels={early: 0, middle: None}),
        item(1, labels={early: 1, middle: None}),
        item(2, labels={late: None}),
    )
    nan = np.nan
    unknown, alive = _labels_of(path, "unknown"), _labels_of(path)
    np.testing.assert_array_equal(unknown, [[0, nan, nan], [1, nan, 1], [nan, nan, nan]])
    np.testing.assert_array_equal(alive, [[0, 0, nan], [1, 1, 1], [nan, nan, 0]])
    with caplog.at_level(logging.INFO):
        _labels_of(path)
    assert caplog.messages[-1] == (
        f"{late}, training: 3 patients, 1 dead, 0 alive, 1 censored before (counted as alive), "
        "1 of whom nothing is known (no label)"
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"time_days": 300, "event": 2}, "time_days is 300 and event 2, expected 0 or more days"),
        ({"time_days": 300, "event": None}, "event None"),
        ({"time_days": 300}, "event None"),
        ({"event": 1}, "time_days is None"),
        ({"time_days": None, "event": 0}, "time_days is None"),
        ({"time_days": -3, "event": 0}, "time_days is -3"),
        ({"time_days": "30", "event": 0}, "time_days is '30'"),
        ({"time_days": 100, "event": 1, "labels": {HORIZONS[1]: 0}}, "dead_within_180_days is 0"),
        ({"time_days": 100, "event": 0, "labels": {HORIZONS[1]: 0}}, "dead_within_180_days is 0"),
        ({"time_days": 400, "event": 0, "labels": {HORIZONS[0]: 1}}, "dead_within_90_days is 1"),
        ({"labels": {HORIZONS[0]: 1, HORIZONS[1]: 0}}, "dead within 90 days but alive at 180"),
    ],
)
def test_item_that_cannot_be_true_is_refused_with_its_exam(
    tmp_path: Path, fields: dict[str, Any], told: str
) -> None:
    path = datalist(tmp_path, item(0, time_days=5, event=0), item(1, **fields))
    with pytest.raises(InputDataError, match=f"^exam E1: .*{told}"):
        load_outcomes(path, "training", HORIZONS)
