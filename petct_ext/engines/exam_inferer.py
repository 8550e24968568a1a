"""Prediction exam by exam, so that no exam depends on the others in its batch."""

from __future__ import annotations

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

__all__ = ["ExamInferer"]


class ExamInferer(Inferer):
    """Gives every exam to the network by itself, without the slices that pad its batch.

    Padding gets no attention, but convolutions at the upper end of an exam see it; what they see
    there in a network that has learned is not what they see at the border of a volume. The
    probability of an exam would depend on the longest exam in its batch. Whole-body volumes fill a
    device one at a time, so that nothing is lost.
    """

    def __call__(  # type: ignore[override]
        self, inputs: Tensor, network: nn.Module, num_slices: Tensor | None = None
    ) -> Tensor:
        """Classifies a batch.

        Args:
            inputs: volumes (B, C, X, Y, Z), as for the network.
            network: a :class:`~petct_ext.networks.RegionClassifier` in evaluation mode.
            num_slices: integers (B,): how many of the Z slices are real; None is all.

        Returns:
            Logits (B, num_regions).
        """
        depths = [inputs.shape[4]] * len(inputs) if num_slices is None else num_slices.tolist()
        exams = zip(inputs.split(1), depths, strict=True)
        return torch.cat([self.predict(exam[..., :depth], network) for exam, depth in exams])

    def predict(self, exam: Tensor, network: nn.Module) -> Tensor:
        """Classifies one exam (1, C, X, Y, Z), none of whose slices is padding."""
        logits: Tensor = network(exam)
        return logits
