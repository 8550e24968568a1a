"""Reports on digital exams: what they say is true, and known to the character."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.reports.mentions import find_mentions
from petct_ext.synthetic.diseases import sample_patient, sample_patients
from petct_ext.synthetic.patients import Exam, Lesion, Patient
from petct_ext.synthetic.reports.phrases import (
    compose,
    load_phrases,
    number,
    resolve,
    respell,
    sentence,
)
from petct_ext.synthetic.reports.writing import (
    Report,
    ReportMention,
    misspell,
    wrap_lines,
    write_report,
)
from tests.package_regions import ONTOLOGY

Written = list[tuple[Patient, Exam, Report]]


def _write(patient: Patient, exam: Exam, seed: int = 0) -> Report:
    rng = np.random.default_rng([seed, patient.number, exam.number])
    return write_report(patient, exam, rng=rng, ontology=ONTOLOGY)


@pytest.fixture(scope="module")
def written() -> Written:
    patients = sample_patients(250, seed=21)
    return [(p, exam, _write(p, exam)) for p in patients for exam in p.exams]


def _around(regions: set[str]) -> set[str]:
    return regions.union(*(ONTOLOGY.containers(region) for region in regions))


def _is_named(mention: ReportMention, text: str) -> bool:
    """Whether the words of a mention name its region, a part of it or what contains it."""
    for pattern in _patterns(mention.region):
        for found in pattern.finditer(text, max(0, mention.start - 40), mention.end + 40):
            if found.start() < mention.end and mention.start < found.end():
                return True
    # Vertebral levels and node stations are rules, not patterns.
    related = (
        {mention.region} | ONTOLOGY.containers(mention.region) | ONTOLOGY.parts(mention.region)
    )
    return any(
        found.region in related and found.start < mention.end and mention.start < found.end
        for found in find_mentions(text, ONTOLOGY)
    )


def _patterns(region: str) -> tuple[re.Pattern[str], ...]:
    """Patterns of a region; those of its family if it is a side of one."""
    return ONTOLOGY.patterns(region) or ONTOLOGY.patterns(re.sub("^(left|right)_", "", region))


def test_every_mention_holds_words_that_name_its_region(written: Written) -> None:
    for _, _, report in written:
        for mention in report.mentions:
            assert _is_named(mention, report.text), report.text[mention.start : mention.end]


def test_sides_in_words_and_region_agree(written: Written) -> None:
    for _, _, report in written:
        for mention in report.mentions:
            words = report.text[mention.start : mention.end].lower()
            side = mention.region.partition("_")[0]
            if side in ("left", "right") and re.search("(left|right)_.*_node", mention.region):
                assert side in words


def test_every_reported_lesion_has_an_abnormal_mention(written: Written) -> None:
    for _, exam, report in written:
        abnormal = {mention.region for mention in report.mentions if mention.abnormal}
        for lesion in exam.lesions:
            if lesion.mentioned:
                assert abnormal & _around({lesion.region}), lesion.region


def test_abnormal_mentions_are_true_and_reported(written: Written) -> None:
    for _, exam, report in written:
        reported = {lesion.region for lesion in exam.lesions if lesion.mentioned}
        abnormal = {mention.region for mention in report.mentions if mention.abnormal}
        assert abnormal <= _around(reported)


def test_no_region_with_a_lesion_is_called_normal(written: Written) -> None:
    for _, exam, report in written:
        diseased = _around({lesion.region for lesion in exam.lesions})
        assert not diseased & {m.region for m in report.mentions if not m.abnormal}


def test_mentions_cover_all_region_words_of_findings_and_impression(written: Written) -> None:
    heading = re.compile(r"^[A-Z][A-Za-z /]*:", re.MULTILINE)
    patterns = [pattern for region in ONTOLOGY for pattern in ONTOLOGY.patterns(region)]
    for _, _, report in written[:120]:
        start = re.search(r"(?im)^(?:PET/CT )?(?:FINDINGS|RESULTS)\b", report.text)
        assert start is not None
        covered = {i for m in report.mentions for i in range(m.start, m.end)}
        for found in heading.finditer(report.text):
            covered |= set(range(found.start(), found.end()))
        for pattern in patterns:
            for found in pattern.finditer(report.text, start.start()):
                assert covered & set(range(found.start(), found.end())), found[0]


def test_organs_of_the_other_sex_are_not_spoken_of(written: Written) -> None:
    for patient, _, report in written:
        words = r"\bprostat" if patient.sex == "F" else r"\buter|\bovar|adnex|endometri"
        assert not re.search(words, report.text, flags=re.IGNORECASE)


def test_first_exams_are_compared_with_no_earlier_pet(written: Written) -> None:
    pattern = r"\b(interval|previously|has resolved|prior (study|exam\b)|unchanged|progressi)"
    for patient, exam, report in written:
        if exam.number == 0:
            assert not re.search(pattern, report.text, flags=re.IGNORECASE), patient.number


def test_reports_have_the_length_of_real_ones(written: Written) -> None:
    lengths = [len(report.text) for _, _, report in written]

    assert min(lengths) >= 700
    assert max(lengths) <= 2600
    assert np.percentile(lengths, 90) - np.percentile(lengths, 10) > 400


def test_reports_hold_no_notation_and_no_identity(written: Written) -> None:
    for _, _, report in written:
        assert not re.search(r"[\ue000-\ue002{}\[\]<>|*]", report.text)
        assert not re.search(r"birth|DOB|MRN|\bMr\b|\bMrs\b", report.text)
        assert "  " not in report.text.replace("\n", "")


def test_the_code_at_the_end_is_the_code_of_the_exam(written: Written) -> None:
    stated = [
        (found[1], exam, report)
        for _, exam, report in written
        if (found := re.search(r"SUMMARY: (\d)-", report.text))
    ]

    assert 0.3 < len(stated) / len(written) < 0.7
    assert all(int(code) == exam.summary_code == r.summary_code for code, exam, r in stated)


def test_reports_vary_in_layout_spelling_and_words(written: Written) -> None:
    texts = [report.text for _, _, report in written]
    bodies = {re.sub(r"\s+", " ", text)[-400:] for text in texts}

    assert len(bodies) == len(texts)
    for word in ("IMPRESSION", "CONCLUSION", "CHEST:", "oesophagus", "esophagus", " mm", " cm"):
        share = np.mean([word in text for text in texts])
        assert 0.01 < share < 0.95, word


def test_equal_generators_give_equal_reports() -> None:
    patient = sample_patient(4, seed=1)
    exam = patient.exams[0]

    assert _write(patient, exam) == _write(patient, exam)
    assert _write(patient, exam, seed=1) != _write(patient, exam, seed=2)


def test_an_exam_of_another_patient_is_refused() -> None:
    with pytest.raises(InputDataError, match="is not among the"):
        _write(sample_patient(0, seed=1), sample_patient(1, seed=1).exams[0])


@pytest.mark.parametrize("region", sorted(load_phrases()["regions"]))
def test_every_region_with_phrases_is_found_in_its_report(region: str) -> None:
    patient = _patient_with(Lesion(region, 20.0, 8.0))

    for seed in range(15):
        report = _write(patient, patient.exams[0], seed=seed)
        assert region in {m.region for m in report.mentions if m.abnormal}
        for mention in report.mentions:
            assert _is_named(mention, report.text), report.text[mention.start : mention.end]


def test_every_site_of_every_disease_has_phrases() -> None:
    regions = {x.region for p in sample_patients(800, seed=2) for e in p.exams for x in e.lesions}

    assert regions <= set(load_phrases()["regions"])


def test_a_second_exam_tells_what_has_changed() -> None:
    shrunk = _follow_up(Lesion("liver", 30.0, 12.0), Lesion("liver", 20.0, 6.0))
    gone = _follow_up(Lesion("liver", 30.0, 12.0), None)
    new = _follow_up(Lesion("liver", 30.0, 12.0), Lesion("spleen", 20.0, 8.0))

    assert re.search("decreas|declined|[Rr]esidual|less intense|still", shrunk)
    assert re.search("resol|no longer|returned|No residual", gone)
    assert re.search(r"\b[Nn]ew\b|appeared|development|now shows", new)


def _patient_with(lesion: Lesion) -> Patient:
    patient = sample_patient(0, seed=3)
    exam = replace(patient.exams[0], lesions=(lesion,), treated=False, summary_code=4)
    sex = "M" if lesion.region == "prostate" else "F"
    return replace(patient, sex=sex, disease="unknown_primary", exams=(exam,))


def _follow_up(first: Lesion, second: Lesion | None) -> str:
    patient = _patient_with(first)
    exam = replace(
        patient.exams[0],
        number=1,
        exam_date=patient.exams[0].exam_date + timedelta(days=90),
        lesions=(second,) if second is not None else (),
    )
    patient = replace(patient, exams=(patient.exams[0], exam))
    return _write(patient, exam, seed=4).text


def test_phrases_are_many() -> None:
    phrases = load_phrases()

    def variants(groups: dict[str, list[str]]) -> int:
        return sum(len(templates) for templates in groups.values())

    assert variants(phrases["positive"]) >= 60
    assert variants(phrases["negative"]) >= 40
    assert variants(phrases["physiologic"]) >= 30


def test_notation_is_resolved_to_text_and_offsets() -> None:
    rng = np.random.default_rng(0)
    template = "a {size} [{side} hilar] lesion; [liver|Liver] <clear|clear>. [lungs!|Lungs] not."
    marked = compose(
        template, rng, slots={"size": "8 mm", "side": "left"}, region="left_hilar_lymph_node"
    )
    text, mentions = resolve(sentence(marked))

    assert text == "An 8 mm left hilar lesion; Liver clear. Lungs not."
    assert [(text[m.start : m.end], m.region, m.abnormal) for m in mentions] == [
        ("left hilar", "left_hilar_lymph_node", True),
        ("Liver", "liver", False),
        ("Lungs", "lungs", True),
    ]


def test_nodes_after_a_mention_belong_to_it() -> None:
    marked = compose("[axillary_lymph_node|axillary] lymph nodes", np.random.default_rng(0))
    text, (mention,) = resolve(sentence(marked))

    assert text[mention.start : mention.end] == "Axillary lymph nodes"


@pytest.mark.parametrize(
    ("marked", "one", "many"),
    [("node*", "node", "nodes"), ("mass*", "mass", "masses"), ("focus*", "focus", "foci")],
)
def test_plurals(marked: str, one: str, many: str) -> None:
    assert (number(marked, plural=False), number(marked, plural=True)) == (one, many)


def test_respelling_leaves_region_names_alone() -> None:
    marked = compose("[esophagus|esophagus]", np.random.default_rng(0))
    text, (mention,) = resolve(respell(marked, {"esophag": "oesophag"}))

    assert (text, mention.region) == ("oesophagus", "esophagus")


@given(seed=st.integers(0, 10_000), width=st.integers(20, 120))
def test_wrapping_and_typing_errors_keep_offsets(seed: int, width: int) -> None:
    patient = sample_patient(seed % 7, seed=6)
    report = _write(patient, patient.exams[0], seed=seed % 5)
    wrapped = wrap_lines(report.text, report.mentions, width=width)
    mistyped = misspell(report.text, report.mentions, np.random.default_rng(seed))

    assert wrapped.replace("\n", " ") == report.text.replace("\n", " ")
    assert sorted(mistyped) == sorted(report.text)
    for m in report.mentions:
        assert wrapped[m.start : m.end] == report.text[m.start : m.end]
        assert mistyped[m.start : m.end] == report.text[m.start : m.end]


def test_a_text_without_long_words_gets_no_typing_error() -> None:
    assert misspell("No focus.", (), np.random.default_rng(0)) == "No focus."
