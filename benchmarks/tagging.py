"""Times the finding of all regions' patterns in reports, side by side, on one core.

The corpus is artificial (petct_ext.synthetic). All ways must find the same spans, overlaps
included; the benchmark stops if they do not. Then the whole of a report is timed: mentions with
sides, lists and levels, and sections, sentences and rules as well. google-re2 is left out where it
is not installed: pip install google-re2

Example:
    python benchmarks/tagging.py --reports 200
"""

import argparse
import re
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec

import numpy as np
import regex

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.reports.context import report_sentences
from petct_ext.reports.items import SentenceTagger, tag_report
from petct_ext.reports.mentions import find_mentions
from petct_ext.reports.prefilter import PatternIndex
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.reports.writing import write_report

ONTOLOGY = RegionOntology.default()

Spans = set[tuple[int, int, str]]
Way = Callable[[str], Spans]


def make_reports(count: int, *, seed: int) -> list[str]:
    texts: list[str] = []
    for patient in sample_patients(count, seed=seed):
        rng = np.random.default_rng([seed, patient.number])
        texts += [
            write_report(patient, exam, rng=rng, ontology=ONTOLOGY).text for exam in patient.exams
        ]
    return texts[:count]


def spans_of(region: str, matches: Iterable[re.Match[str]]) -> Spans:
    return {(m.start(), m.end(), region) for m in matches if m.end() > m.start()}


def ways_to_match(ontology: RegionOntology) -> dict[str, Way]:
    patterns = [(name, p) for name in ontology for p in ontology.patterns(name)]
    strings = [(name, p.pattern) for name, p in patterns]
    other = [(name, regex.compile(p, regex.IGNORECASE)) for name, p in strings]
    index = PatternIndex(patterns)

    def loop_of_strings(text: str) -> Spans:
        found = (spans_of(n, re.finditer(p, text, re.IGNORECASE)) for n, p in strings)
        return set().union(*found)

    def loop_compiled(text: str) -> Spans:
        return set().union(*(spans_of(n, p.finditer(text)) for n, p in patterns))

    def loop_regex(text: str) -> Spans:
        return set().union(*(spans_of(n, p.finditer(text)) for n, p in other))

    def indexed(text: str) -> Spans:
        return {(start, end, name) for start, end, name, _ in index.find(text)}

    ways: dict[str, Way] = {
        "loop over patterns (as the authors)": loop_of_strings,
        "loop over compiled patterns": loop_compiled,
        "loop, module regex": loop_regex,
    }
    if find_spec("re2") is not None:
        ways["google-re2 set, then re"] = re2_first(patterns)
    return ways | {"petct_ext: index of beginnings": indexed}


def re2_first(patterns: list[tuple[str, re.Pattern[str]]]) -> Way:
    import re2

    options = re2.Options()
    options.case_sensitive = False
    chosen = re2.Set.SearchSet(options)
    for _, pattern in patterns:
        # RE2 knows no look-around; without it a pattern matches at least as often.
        chosen.Add(re.sub(r"\(\?<?[=!](?:[^()]|\([^()]*\))*\)", "", pattern.pattern))
    chosen.Compile()

    def find(text: str) -> Spans:
        candidates = (patterns[i] for i in chosen.Match(text))
        return set().union(*(spans_of(n, p.finditer(text)) for n, p in candidates))

    return find


def seconds_per_report(way: Callable[[str], object], texts: list[str], *, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for text in texts:
            way(text)
        times.append((time.process_time() - began) / len(texts))
    return min(times)


def main(arguments: argparse.Namespace) -> None:
    ontology = RegionOntology.default()
    texts = make_reports(arguments.reports, seed=0)
    size = sum(map(len, texts)) / len(texts)
    number = sum(len(ontology.patterns(name)) for name in ontology)
    print(
        f"{len(texts)} reports of {size:.0f} characters, {len(ontology)} regions, {number} patterns"
    )
    ways = ways_to_match(ontology)
    reference = [next(iter(ways.values()))(text) for text in texts]
    base = 0.0
    print(f"{'':44s}{'reports/s':>10s}{'x loop':>8s}")
    for name, way in ways.items():
        if [way(text) for text in texts] != reference:
            raise InputDataError(f"{name}: other spans than the loop; this is a fault.")
        few = texts[:40] if name.startswith("loop") else texts
        seconds = seconds_per_report(way, few, rounds=arguments.rounds)
        base = base or seconds
        print(f"{name:44s}{1 / seconds:10.0f}{base / seconds:8.1f}")
    whole: dict[str, Callable[[str], object]] = {
        "mentions (sides, lists, levels)": lambda text: find_mentions(text, ontology),
        "sections and sentences": report_sentences,
        "sections to rules, no sentence known": lambda text: tag_report(
            "a", text, SentenceTagger(ontology)
        ),
    }
    tagger = SentenceTagger(ontology)
    whole["sections to rules, sentences remembered"] = lambda text: tag_report("a", text, tagger)
    for name, step in whole.items():
        seconds = seconds_per_report(step, texts, rounds=1 if "remembered" in name else 2)
        print(f"{name:44s}{1 / seconds:10.0f}")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--reports", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    run(main, parser)
