"""Ignite handlers: prediction tables, checkpoints, early stops and waiting times."""

from petct_ext.handlers.checkpoint_saver import AtomicCheckpointSaver
from petct_ext.handlers.data_wait import DataWait
from petct_ext.handlers.loss_stop import LossStop
from petct_ext.handlers.prediction_saver import PredictionSaver
from petct_ext.handlers.score_stop import ScoreStop
from petct_ext.handlers.training_state import TrainingState

__all__ = [
    "AtomicCheckpointSaver",
    "DataWait",
    "LossStop",
    "PredictionSaver",
    "ScoreStop",
    "TrainingState",
]
