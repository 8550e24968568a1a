"""A training never goes on with a loss that is no number."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer
from torch import nn

from petct_ext.errors import InputDataError
from petct_ext.training.stops import LossStop


def train(values: list[float], *, decollate: bool = True) -> int:
    """Trains on batches of two exams whose images hold one value each; returns the steps."""
    batches = [
        {
            "exam_id": [f"E{i}", f"F{i}"],
            "image": torch.tensor([[value], [0.5]]),
            "label": torch.zeros(2, 1),
        }
        for i, value in enumerate(values)
    ]
    network = nn.Linear(1, 1)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.01),
        loss_function=nn.MSELoss(),
        inferer=SimpleInferer(),
        train_handlers=[LossStop()],
        decollate=decollate,
    )
    trainer.run()
    return int(trainer.state.iteration)


def test_infinite_gradients_are_not_skipped_in_bf16() -> None:
    """MONAI's scaler leaves such steps out, one after the other, and nothing is learned."""

    def scale(engine: Any) -> None:
        engine.scaler = torch.amp.GradScaler("cpu")  # as MONAI does on a GPU

    network = nn.Linear(1, 1)
    network.weight.register_hook(lambda gradient: gradient * torch.inf)
    batch = {"exam_id": ["E", "F"], "image": torch.ones(2, 1), "label": torch.zeros(2, 1)}
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[batch] * 3,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.01),
        loss_function=nn.MSELoss(),
        inferer=SimpleInferer(),
        amp=True,
        amp_kwargs={"dtype": torch.bfloat16},
    )
    trainer.add_event_handler(Events.STARTED, scale)
    LossStop().attach(trainer)
    with pytest.raises(InputDataError, match="at step 2 with"):
        trainer.run()


def test_finite_losses_pass() -> None:
    assert train([0.5, -2.0, 3.0]) == 3


@pytest.mark.parametrize("decollate", [True, False])
def test_broken_volume_is_named_at_its_step(decollate: bool) -> None:
    with pytest.raises(InputDataError, match=r"loss is nan at step 2 with exam\(s\) E1, F1;"):
        train([0.5, torch.nan, 0.5], decollate=decollate)


def test_infinite_loss_stops_too() -> None:
    with pytest.raises(InputDataError, match=r"loss is inf at step 1 with exam\(s\) E0, F0;"):
        train([1e30])
