"""Labelling mentions in a notebook: a queue, an append-only file of answers, and a widget.

Only :func:`open_labeling_tool` needs the optional packages of ``pip install petct_ext[notebook]``,
and imports them when it is called.
"""

from petct_ext.labeler.notebook.answers import Answer, AnswerFile, Judgement
from petct_ext.labeler.notebook.mention_queue import Candidate, find_candidates, order_candidates
from petct_ext.labeler.notebook.session import LabelingSession, open_session
from petct_ext.labeler.notebook.tool import LabelingTool, open_labeling_tool

__all__ = [
    "Answer",
    "AnswerFile",
    "Candidate",
    "Judgement",
    "LabelingSession",
    "LabelingTool",
    "find_candidates",
    "open_labeling_tool",
    "open_session",
    "order_candidates",
]
