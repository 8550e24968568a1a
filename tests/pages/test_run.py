"""Facts about the page of a run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.files import write_json
from petct_ext.pages.rendering import interval, rounded, templates
from petct_ext.pages.run import build_page, write_page
from tests.package_regions import ONTOLOGY

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360"
    "0000000200015d0b2a4a0000000049454e44ae426082"
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for folder in ("evaluation", "overlays", "survival", "manifests", "private"):
        (tmp_path / folder).mkdir()
    (tmp_path / "exams.csv").write_text(
        "exam_id,patient_id,exam_date,status,reason,sex,age_years\n"
        "E1,P1,2020-01-01,ok,,F,61\n"
        "E2,P2,2020-01-01,quarantined,<script>alert(1)</script> & no PET,M,55\n"
    )
    _metrics(tmp_path, "hand")
    for name in ("auroc_by_region", "reliability", "roc_curves"):
        (tmp_path / "evaluation" / f"{name}.svg").write_text(SVG)
    (tmp_path / "overlays" / "E1.png").write_bytes(PIXEL)
    (tmp_path / "overlays" / "overlays.csv").write_text(
        "exam_id,region,target,prob,file,caption\n"
        "E1,liver,1,0.9,E1.png,Liver 0.90.\nE1,lungs,0,0.2,E1.png,Lungs 0.20.\n"
    )
    (tmp_path / "private" / "identifiers.csv").write_text("SECRET-MRN-4711\n")
    return tmp_path


def _metrics(work: Path, kind: str) -> None:
    rows = [
        {"task": "left_lungs", "auroc": 0.9, "note": ""},
        {"task": "liver", "auroc": float("nan"), "note": "undefined: 0 positives"},
    ]
    frame = pd.DataFrame(rows).assign(
        experiment="scan_model", target_kind=kind, n=20, n_positive=7, threshold=0.5
    )
    frame.to_csv(work / "evaluation" / "metrics.csv", index=False)
    macro = {"experiment": "scan_model", "target_kind": kind, "macro_auroc": 0.9}
    limits = {"macro_auroc_ci_low": 0.8, "macro_auroc_ci_high": 0.95, "n_tasks": 1}
    pd.DataFrame([macro | limits]).to_csv(work / "evaluation" / "metrics_macro.csv", index=False)


class _Checker(HTMLParser):
    """Collects addresses and checks that elements close in order."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes addresses and ids."""
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element, which must be this one."""
        assert self.open.pop() == tag


def test_page_is_well_formed_and_asks_for_nothing_from_outside(work: Path) -> None:
    checker = _Checker()
    page = build_page(work, ontology=ONTOLOGY)
    checker.feed(page)

    assert checker.open == []
    anchors = {address[1:] for address in checker.addresses if address.startswith("#")}
    assert anchors <= set(checker.ids)
    assert all(address.startswith(("#", "data:image/")) for address in checker.addresses)
    assert not re.search(r"url\(|@import|fetch\(|https?://", page)
    assert "default-src 'none'" in page


def test_text_is_escaped(work: Path) -> None:
    page = build_page(work, title="A & B <i>", ontology=ONTOLOGY)

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; no PET" in page
    assert "<h1>A &amp; B &lt;i&gt;</h1>" in page


def test_private_identifiers_are_never_shown(work: Path) -> None:
    (work / "label_audit.csv").write_text("region,f1,raw_patient_id\nliver,0.5,MRN-99\n")
    page = build_page(work, ontology=ONTOLOGY)

    assert "SECRET" not in page
    assert "MRN-99" not in page


def test_weak_labels_are_told_loudly(work: Path) -> None:
    assert "WEAK labels" not in build_page(work, ontology=ONTOLOGY)
    _metrics(work, "weak")
    page = build_page(work, ontology=ONTOLOGY)

    assert "Evaluated on WEAK labels." in page.split("<section")[0]
    assert "WEAK labels</span>" in page


def test_artificial_patients_are_told_first(work: Path) -> None:
    assert "Phantom results are not clinical" not in build_page(work, ontology=ONTOLOGY)
    write_json(work / "cohort.json", {"artificial": "made by formulas"})

    assert (
        "Phantom results are not clinical results"
        in build_page(work, ontology=ONTOLOGY).split("<section")[0]
    )


def test_undefined_values_are_shown_with_their_reason(work: Path) -> None:
    page = build_page(work, ontology=ONTOLOGY)

    assert "undefined: 0 positives" in page
    assert ">nan<" not in page.lower()
    assert "left lung" in page


def test_missing_parts_are_named_with_the_step_that_makes_them(work: Path) -> None:
    manifest = {"step": "external", "title": "External cohort", "skipped": "no data given"}
    write_json(work / "manifests" / "external.json", manifest)
    missing = build_page(work, ontology=ONTOLOGY).split('id="missing"')[1]

    assert "scripts/analyze_survival.py has not run" in missing
    assert "scripts/prepare_exams.py has not run" in missing
    assert "left out: no data given" in missing


def test_overlay_of_several_regions_is_shown_once(work: Path) -> None:
    page = build_page(work, ontology=ONTOLOGY)

    assert page.count("data:image/png") == 1
    assert "Liver 0.90. Lungs 0.20." in page


def test_steps_are_listed_in_order_of_time(work: Path) -> None:
    for name, hour in (("b_first", 1), ("a_second", 2)):
        record = {"step": name, "seconds": 30, "started": f"2026-01-01T0{hour}:00:00+00:00"}
        write_json(work / "manifests" / f"{name}.json", record)
    page = build_page(work, ontology=ONTOLOGY)

    assert page.index("b_first") < page.index("a_second")
    assert "2 steps, 1.0 minutes together" in page


def test_page_is_written_as_index_html(work: Path) -> None:
    assert write_page(work, ontology=ONTOLOGY) == work / "index.html"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("evaluation/metrics.csv", "task,auroc\nliver,1\n", r"lacks the column\(s\) experiment"),
        ("evaluation/metrics_macro.csv", "", "cannot be read as CSV"),
        ("label_prevalence.csv", "region,prevalence\n", "has no rows"),
        ("exams.csv", "exam_id\nE1\n", "exams table lacks"),
        ("survival/survival_summary.json", "{}", "lacks or misstates 'score'"),
        ("manifests/a.json", "[1]", "is not a JSON object"),
        ("manifests/a.json", '{"seconds": "long"}', "seconds is 'long', not a number"),
    ],
)
def test_malformed_input_is_named(work: Path, file: str, content: str, message: str) -> None:
    (work / file).write_text(content)
    with pytest.raises(InputDataError, match=message):
        build_page(work, ontology=ONTOLOGY)


def test_unknown_kind_of_targets_is_refused(work: Path) -> None:
    _metrics(work, "gold")
    with pytest.raises(InputDataError, match="target_kind 'gold' is none of weak, hand, outcome"):
        build_page(work, ontology=ONTOLOGY)


def test_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="holds no result"):
        build_page(tmp_path, ontology=ONTOLOGY)
    with pytest.raises(InputDataError, match="is not a folder"):
        build_page(tmp_path / "absent", ontology=ONTOLOGY)


def test_cells_are_sorted_by_their_value_and_unknown_ones_have_none() -> None:
    rows = [{"a": interval(0.5, 0.25, 0.75)}, {"a": interval(float("nan"), None, None)}]
    shown = '{% import "elements.html" as ui %}{{ ui.table(rows) }}'
    html = templates().from_string(shown).render(rows=rows)

    assert '<td class="number" data-value="0.5">0.500 (0.250 to 0.750)</td>' in html
    assert 'data-value=""' in html


def test_small_numbers_keep_their_size() -> None:
    assert [rounded(v) for v in (1e-7, 0.0, 12, 2.0)] == ["1.0e-07", "0.000", "12", "2.000"]
