"""What the description of a series says of it, as facts, so that the text itself need not be kept.

Descriptions are typed by people, who write names into them. Rules of the choice must read what
stands in the header, not what is left after scrubbing: a patient named "No" would turn "WB NO AC"
into "AC". So the raw text is read once, where the header is read, and only facts from the fixed
list below are kept.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DESCRIPTION_FACTS", "description_facts", "says_word"]

_UNCORRECTED = (
    r"nac|non?[ _-]*ac|no[ _-]*atten\w*|non[ _-]*atten\w*|uncorr\w*|un[ _-]corr\w*|"
    r"without[ _-]*ac|w/?o[ _-]*ac"
)
_CORRECTED = r"ac|mac|ctac|acct|attn|atten\w*[ _-]*corr\w*|corr|corrected"
_PLAIN = (
    r"(?:no|non|without|w/?o|ohne|pre|sans|sin)[ _-]*(?:(?:oral|iv|i\.v\.|or|and|po)[ _-]*)*"
    r"(?:contrast\w*|kontrast\w*|km|ce|enhanced|enhancement)|"
    r"(?:contrast\w*|kontrast\w*|km)[ _:=-]*(?:none|no|free|frei|nein)|"
    r"nativ|native|plain|unenhanced|noncontrast|nonenhanced|low[ _-]?dose|ldct|ncct|c-"
)
_CONTRAST = (
    r"contrast\w*|kontrast\w*|km|iv[ _-]*con\w*|pv[ _-]*phase|ce|cect|"
    r"cemdct|enhanced|venous|portal\w*|arterial|c\+|omnipaque|ultravist|iomeron|imeron|visipaque|isovue|accupaque|xenetix|optiray|iopamiro"
)
DESCRIPTION_FACTS: Final = {
    "report": r"dose[ _-]?(?:report|info|record|summary)|patient[ _-]?protocol|protocol[ _-]?page",
    "localizer": r"scout|topogram|topo|localizer|localiser|surview|scanogram|scano",
    "projection": r"mip|minip|rotating|cine|projections?",
    "fused": r"fused",
    "uncorrected": _UNCORRECTED,
    "corrected": _CORRECTED,
    "plain": _PLAIN,
    "contrast": _CONTRAST,
    "limbs": r"legs?|lower[ _-]+ext\w*|knees?|feet|foot|lower[ _-]+limbs?",
    "head": r"brain|head|neck|h&n|cerebral|cardiac|heart",
    "whole": r"thighs?|toes?|whole|wb|body|torso|vertex",
}
"""Facts, and the words that say them; a word ends at ``_`` as well as at a blank."""

_INSTEAD = {"uncorrected": "corrected", "plain": "contrast"}  # "non-contrast" says no contrast


def description_facts(text: str) -> tuple[str, ...]:
    """Returns what a description says, of :data:`DESCRIPTION_FACTS`, in that order.

    Args:
        text: Series Description (0008,103E) as in the header.

    Example:
        >>> description_facts("WB NO AC"), description_facts("CT 5.0 mm non-contrast")
        (('uncorrected', 'whole'), ('plain',))
    """
    found, left = [], text
    for fact, words in DESCRIPTION_FACTS.items():
        if says_word(left, words):
            found.append(fact)
            if fact in _INSTEAD:
                left = _pattern(words).sub(" ", left)
    return tuple(found)


def says_word(text: str, words: str) -> bool:
    """Returns whether a text holds one of the words (an alternation) as a whole word."""
    return bool(_pattern(words).search(text))


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])", re.IGNORECASE)
