"""Prediction exam by exam, in torch or on a CPU through OpenVINO."""

from __future__ import annotations

import sys
from typing import Any, Final

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.exported import (
    LEAST_SLICES,
    can_fold,
    export_network,
    fold_batch_norms,
)

__all__ = [
    "ExamInferer",
    "OpenVINOInferer",
]


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
            network: a :class:`~petct_ext.scan.networks.region_classifier.RegionClassifier` in
                evaluation mode.
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


_CAPABILITIES: Final = {"f32": "FP32", "bf16": "BF16"}


class OpenVINOInferer(ExamInferer):
    """Runs a trained scan model through OpenVINO, on a CPU.

    The network is exported and compiled at the first exam, with the weights that it has then: some
    ten seconds, once for all numbers of slices and again for another size in-plane. For prediction
    only: weights that change later are not noticed. An exam of fewer than
    :data:`~petct_ext.scan.networks.exported.LEAST_SLICES` slices or with sides of two lengths goes
    through torch, which says the same. OpenVINO's usage statistics stay off.

    Args:
        precision: "f32" gives torch's logits up to rounding (1e-4). "bf16" needs a processor with
            units for it, is about twice as fast again (with AMX more), and changes probabilities
            in the second digit.

    Raises:
        InputDataError: if there is no such precision, the processor has no units for it, or
            OpenVINO is not installed.
    """

    def __init__(self, precision: str = "f32") -> None:
        super().__init__()
        if precision not in _CAPABILITIES:
            raise InputDataError(
                f"precision is {precision!r}, expected {' or '.join(_CAPABILITIES)}."
            )
        self.precision = precision
        self._core = _openvino().Core()
        units = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if _CAPABILITIES[precision] not in units:
            raise InputDataError(
                f"precision is {precision!r}, but this processor has no units for it; use f32."
            )
        self._source: tuple[nn.Module, torch.Size] | None = None
        self._compiled: Any = None

    def predict(self, exam: Tensor, network: nn.Module) -> Tensor:
        """Classifies one exam (1, C, X, Y, Z), none of whose slices is padding."""
        size = exam.shape[1:4]
        if exam.shape[4] < LEAST_SLICES or size[1] != size[2]:
            return super().predict(exam, network)
        if self._source is None or self._source[0] is not network or self._source[1] != size:
            self._compile(network, size)
        outputs = self._compiled(exam.float().contiguous().cpu().numpy())
        return torch.from_numpy(outputs[0].copy()).to(exam.device)

    def _compile(self, network: nn.Module, size: torch.Size) -> None:
        """Prepares for volumes of one size (C, X, X); OpenVINO would take others and be wrong."""
        folded = fold_batch_norms(network) if can_fold(network) else network
        program = export_network(folded, in_channels=size[0], in_plane=size[1])
        options = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = _openvino().convert_model(program)
        self._compiled = self._core.compile_model(model, "CPU", options)
        self._source = network, size


def _openvino() -> Any:
    # Converting would report to the maker; without this package of theirs nothing is sent.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError:
        raise InputDataError(
            "OpenVINO is not installed: pip install -c constraints.txt -e '.[openvino]', or leave "
            "inference_openvino.json away."
        ) from None
    return openvino
