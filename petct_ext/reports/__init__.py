"""From the text of a report to mentions of regions."""

from petct_ext.reports.headings import is_heading
from petct_ext.reports.mentions import Mention, find_mentions
from petct_ext.reports.readable import readable_text
from petct_ext.reports.repeats import join_repeats, place_of_mention, rows_of_mentions
from petct_ext.reports.sections import TAGGED_SECTIONS, Section, split_sections
from petct_ext.reports.sentences import split_sentences

__all__ = [
    "TAGGED_SECTIONS",
    "Mention",
    "Section",
    "find_mentions",
    "is_heading",
    "join_repeats",
    "place_of_mention",
    "readable_text",
    "rows_of_mentions",
    "split_sections",
    "split_sentences",
]
