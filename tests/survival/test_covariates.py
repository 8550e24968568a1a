"""Facts about the covariates of the Cox models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.survival.covariates import choose_regions, learn_design, median_probabilities
from tests.package_regions import ONTOLOGY


def _table(indications: dict[str, int], **columns: Any) -> pd.DataFrame:
    names = [name for name, count in indications.items() for _ in range(count)]
    size = len(names)
    table = pd.DataFrame(
        {
            "age_years": np.linspace(40, 80, size),
            "indication": names,
            "summary_code": (["1", "2", "4", "9"] * size)[:size],
            "liver": np.linspace(0.05, 0.95, size),
        }
    )
    return table.assign(**columns)


def test_most_frequent_indication_is_the_reference_and_rare_ones_form_a_group() -> None:
    table = _table({"lymphoma": 20, "lung": 10, "breast": 5, "melanoma": 4})
    design = learn_design(table, min_group=8, ontology=ONTOLOGY)
    made = design.apply(table)

    assert design.columns == (
        "age (per decade)",
        "lung (vs lymphoma)",
        "other indication (vs lymphoma)",
        "summary code 4 or 9",
    )
    assert made.sum().tolist()[1:3] == [10, 9]
    assert "breast, melanoma; 9 patients together" in design.notes[0]


def test_few_rare_indications_join_the_reference() -> None:
    design = learn_design(
        _table({"lymphoma": 20, "lung": 10, "": 3}), min_group=8, ontology=ONTOLOGY
    )

    assert "not stated; 3 patients together) join the reference 'lymphoma'" in design.notes[0]
    assert not design.pools


def test_indication_never_seen_before_counts_as_other() -> None:
    design = learn_design(
        _table({"lymphoma": 20, "lung": 5, "breast": 4}), min_group=8, ontology=ONTOLOGY
    )
    made = design.apply(_table({"sarcoma": 2}))

    assert made["other indication (vs lymphoma)"].tolist() == [1, 1]


def test_summary_code_asks_for_action_with_4_and_9_and_is_missing_if_empty() -> None:
    table = _table({"x": 5}, summary_code=["1", "2", "4", "9", ""])
    made = learn_design(table, ontology=ONTOLOGY).apply(table)

    np.testing.assert_array_equal(made["summary code 4 or 9"], [0, 0, 1, 1, np.nan])


def test_prediction_enters_as_standardized_logit_of_the_fitted_patients() -> None:
    table = _table({"x": 30})
    design = learn_design(table, regions=["liver"], ontology=ONTOLOGY)
    made = design.apply(table)["predicted liver (per SD)"]

    assert made.mean() == pytest.approx(0, abs=1e-12)
    assert made.std() == pytest.approx(1)
    assert np.isfinite(design.apply(_table({"x": 3}, liver=1.0))).all().all()


def test_constant_covariates_are_left_out_with_a_note() -> None:
    table = _table({"x": 9}, summary_code="1", liver=0.5)
    design = learn_design(table, regions=["liver"], ontology=ONTOLOGY)

    assert design.columns == ("age (per decade)",)
    assert design.regions == ()
    assert [note.split("'")[1] for note in design.notes] == [
        "summary code 4 or 9",
        "predicted liver (per SD)",
    ]


def test_cohort_without_any_difference_is_refused() -> None:
    with pytest.raises(InputDataError, match="no clinical covariate differs"):
        learn_design(_table({"x": 9}, summary_code="", age_years=np.nan), ontology=ONTOLOGY)


def test_probability_is_the_median_over_seeds() -> None:
    predictions = pd.DataFrame(
        {"exam_id": "E1", "task": "liver", "seed": [1, 2, 3], "prob": [0.1, 0.9, 0.2]}
    )

    assert median_probabilities(predictions, ["liver"]).loc["E1", "liver"] == 0.2
    with pytest.raises(InputDataError, match=r"region 'livr'.*Did you mean 'liver'"):
        median_probabilities(predictions, ["livr"])


def test_few_deaths_allow_one_region_only() -> None:
    available = ["liver", "full", "mouth"]

    assert choose_regions(available, num_events=3, num_clinical=4) == ("full",)
    assert choose_regions(available, num_events=500, num_clinical=4) == ("full", "liver")
    assert choose_regions(["mouth"], num_events=500, num_clinical=4) == ("mouth",)
