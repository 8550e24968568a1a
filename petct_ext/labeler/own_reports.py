"""Own reports and excerpts in many styles with judged mentions.

They lie in ``petct_ext/synthetic/reports/annotated_reports.jsonl`` and were written for this
project by language models that saw neither the labeler nor other report text; no patient is
described, and nobody but their writers has reviewed the judgements. 80 of them teach (``use:
training``); 90 choose how network and rules are combined (``use: blend``): the network was not
trained on them, and the rules were not mended by them, but for two forms whose layout was not read.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Literal

from petct_ext.reports.items import AnnotatedText, read_annotated_texts

__all__ = ["own_annotated_reports"]


def own_annotated_reports(use: Literal["training", "blend"]) -> list[AnnotatedText]:
    """Returns the texts for one use.

    Args:
        use: see above.
    """
    path = Path(str(files("petct_ext.synthetic.reports") / "annotated_reports.jsonl"))
    lines = path.read_text(encoding="utf-8").splitlines()
    chosen = {entry["id"] for line in lines if (entry := json.loads(line))["use"] == use}
    return [text for text in read_annotated_texts(path) if text.text_id in chosen]
