"""Stops an evaluation whose scores are no longer numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from ignite.engine import Events

from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, PRED

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["ScoreStop", "require_finite_scores"]


class ScoreStop:
    """Ignite handler that ends an evaluation at the first exam whose scores are NaN or infinite.

    Else a network that diverged, or a broken volume, would go into the metric that chooses the best
    weights. MONAI has decollated batch and output: one dictionary per exam.
    """

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``val_handlers``."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Checks the scores of the last batch.

        Raises:
            InputDataError: if one is not finite; names the exam.
        """
        exams: Any = engine.state.batch
        outputs: Any = engine.state.output
        for exam, output in zip(exams, outputs, strict=True):
            require_finite_scores(
                output[PRED],
                exam[EXAM_ID],
                "the training has diverged (lower the learning rate), or the volume is broken",
            )


def require_finite_scores(scores: Any, exam_id: str, likely: str) -> None:
    """Refuses scores of an exam that are NaN or infinite.

    Args:
        scores: tensor or numbers.
        exam_id: for the error.
        likely: what is wrong then, part of a sentence.

    Raises:
        InputDataError: if one is not finite.
    """
    if not bool(torch.isfinite(torch.as_tensor(scores)).all()):
        raise InputDataError(
            f"exam {exam_id}: the network returned values that are not finite; {likely}."
        )
