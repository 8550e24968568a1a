"""Stops a training or an evaluation whose losses or scores are no longer numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from ignite.engine import Events

from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, PRED

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = [
    "LossStop",
    "ScoreStop",
    "require_finite_scores",
]


class LossStop:
    """Ignite handler that ends the training at the first loss that is NaN or infinite.

    The trainer's batch must carry ``exam_id``. MONAI has decollated batch and output by then unless
    the trainer was told not to.

    MONAI scales the loss for every kind of mixed precision, and its scaler leaves out a step whose
    gradients are not finite without a word. bf16 has the range of float32 and needs no scaler, so
    that it is switched off there: such gradients show in the next loss.
    """

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``train_handlers``."""
        engine.add_event_handler(Events.STARTED, _without_scaler)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Checks the loss of the last step.

        Raises:
            InputDataError: if the loss is not finite; names the exams of the batch.
        """
        outputs: Any = engine.state.output
        exams: Any = engine.state.batch
        loss = outputs[0]["loss"] if isinstance(outputs, list) else outputs["loss"]
        loss = torch.as_tensor(loss).detach()
        if not bool(torch.isfinite(loss).all()):
            ids = [e[EXAM_ID] for e in exams] if isinstance(exams, list) else exams[EXAM_ID]
            named = ", ".join(map(str, ids))
            raise InputDataError(
                f"the loss is {float(loss)} at step {engine.state.iteration} with exam(s) {named}; "
                "look at their volumes, or lower the learning rate."
            )


def _without_scaler(engine: Engine) -> None:
    trainer: Any = engine
    scales = getattr(trainer, "scaler", None) is not None
    if scales and trainer.amp_kwargs.get("dtype") is torch.bfloat16:
        trainer.scaler = torch.amp.GradScaler(enabled=False)


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
