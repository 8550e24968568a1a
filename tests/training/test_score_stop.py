"""No evaluation goes on with scores that are no numbers."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine

from petct_ext.errors import InputDataError
from petct_ext.training.stops import ScoreStop


def evaluate(*scores: float) -> None:
    """Evaluates a batch of exams, as MONAI has decollated it."""
    outputs = [{"pred": torch.tensor([0.5, score])} for score in scores]
    engine = Engine(lambda _engine, _batch: outputs)
    ScoreStop().attach(engine)
    engine.run([[{"exam_id": f"E{i}"} for i in range(len(scores))]])


def test_numbers_pass() -> None:
    evaluate(0.1, 0.9)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_exam_is_named(broken: float) -> None:
    with pytest.raises(InputDataError, match="exam E1: the network returned values that are not f"):
        evaluate(0.1, broken)
