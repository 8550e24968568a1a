"""One training in several processes, one per GPU, started by ``torchrun``."""

from __future__ import annotations

import logging

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from petct_ext.errors import InputDataError, did_you_mean

__all__ = ["adapt_batch_norms", "distribute", "start_processes", "stop_processes"]

_LOGGER = logging.getLogger(__name__)
_CHOICES = ("synchronized", "frozen")


def start_processes(device: torch.device) -> None:
    """Joins this process to the others; those but the first log warnings only.

    Args:
        device: of this process; NCCL connects GPUs, Gloo CPUs.

    Raises:
        InputDataError: if the process was not started by ``torchrun``.
    """
    if not dist.is_torchelastic_launched():
        raise InputDataError(
            "multi_gpu_train.json needs one process per GPU; start it with torchrun "
            "--nproc_per_node N -m monai.bundle run training ... (docs/README.md)."
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if dist.get_rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger("ignite").setLevel(logging.WARNING)
    _LOGGER.info("%d processes on %s", dist.get_world_size(), device.type)


def stop_processes() -> None:
    """Leaves the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


class _FrozenBatchNorm3d(nn.BatchNorm3d):
    """Uses the running statistics in training too, and leaves them as they are."""

    def train(self, mode: bool = True) -> _FrozenBatchNorm3d:
        super().train(False)
        return self


def adapt_batch_norms(network: nn.Module, how: str) -> nn.Module:
    """Makes batch norms of all processes agree.

    Args:
        network: changed in place; names and shapes of its tensors stay.
        how: "synchronized" takes statistics over the batches of all processes (GPUs only);
            "frozen" uses the running statistics and never changes them, which is meant for
            pretrained weights.

    Returns:
        The network.

    Raises:
        InputDataError: if ``how`` is none of these, or "frozen" meets batch norms other than of
            volumes.
    """
    if how not in _CHOICES:
        raise InputDataError(
            f"batch_norm is {how!r}; it must be one of {', '.join(_CHOICES)}."
            f"{did_you_mean(how, _CHOICES)}"
        )
    if how == "synchronized":
        synchronized: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return synchronized
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.__class__ = _FrozenBatchNorm3d
            module.eval()
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputDataError(
                f"the network has a {type(module).__name__}, but only BatchNorm3d can be frozen; "
                "set batch_norm to synchronized, or use another encoder."
            )
    return network


def distribute(network: nn.Module, device: torch.device) -> DistributedDataParallel:
    """Returns a wrapper that averages gradients over all processes; it shares the weights.

    Statistics of batch norms are equal in all processes (:func:`adapt_batch_norms`) and are not
    sent around.
    """
    return DistributedDataParallel(
        network,
        device_ids=[device.index] if device.type == "cuda" else None,
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
    )
