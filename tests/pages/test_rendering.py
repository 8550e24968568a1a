"""Facts about templates: what is escaped, what is refused, what a page is made of."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from petct_ext.pages.evaluation import write_evaluation
from petct_ext.pages.rendering import templates
from petct_ext.statistics.evaluation import EvaluationOptions, evaluate_experiments
from tests.package_regions import ONTOLOGY
from tests.statistics.comparison_cases import experiment

HOSTILE = "\"><script>alert(1)</script>'{{ 7 * 7 }}"


def test_hostile_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    named = [
        replace(experiment(name, generator_seed=seed), tasks=(HOSTILE, "liver", "full"))
        for seed, name in enumerate((HOSTILE, f"b{HOSTILE}"))
    ]
    options = EvaluationOptions(num_bootstrap=20, num_rounds=20)
    tables = evaluate_experiments(named, options)
    page = write_evaluation(named, tables, tmp_path, options=options, ontology=ONTOLOGY).read_text()

    assert "<script>alert" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert "49" not in re.findall(r"alert\(1\)[^<]{0,40}", page)[0]
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10
    assert not re.findall(r'="[^"]*<', page)


def test_name_that_a_template_does_not_get_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'absent' is undefined"):
        templates().from_string("{{ absent }}").render()


def test_style_sheet_and_script_hold_no_end_tag() -> None:
    folder = files("petct_ext.pages") / "templates"
    for name in ("page.css", "page.js"):
        assert not re.search(r"</(style|script)", (folder / name).read_text(), re.IGNORECASE)


def test_rows_fold_away_only_when_there_are_many() -> None:
    shown = '{% import "elements.html" as ui %}{{ ui.short_or_folded(rows) }}'
    few, many = (
        templates().from_string(shown).render(rows=[{"exam": f"E{i}"} for i in range(count)])
        for count in (12, 13)
    )
    assert "<details>" not in few
    assert "<details>" in many
    assert many.count("<tr>") == 14
