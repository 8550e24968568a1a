"""Ignite handlers: prediction tables, checkpoints and an early stop."""

from petct_ext.handlers.checkpoint_saver import AtomicCheckpointSaver
from petct_ext.handlers.loss_stop import LossStop
from petct_ext.handlers.prediction_saver import PredictionSaver
from petct_ext.handlers.training_state import TrainingState

__all__ = ["AtomicCheckpointSaver", "LossStop", "PredictionSaver", "TrainingState"]
