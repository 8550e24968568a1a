"""Checkpoints that a kill can never leave half-written."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ignite.handlers import DiskSaver
from monai.handlers import CheckpointSaver
from torch import Tensor

from petct_ext.files import make_folder
from petct_ext.networks.checkpoint_files import writing

__all__ = ["AtomicCheckpointSaver"]


class AtomicCheckpointSaver(CheckpointSaver):
    """MONAI's CheckpointSaver with atomic writes.

    MONAI switches Ignite's atomic writing off to keep the group's read permission, and removes the
    previous best model before it writes the next. Here the new file replaces the old one in one
    step, and is readable for all. Tensors are written as of the CPU, so that weights of a GPU load
    on machines without one (``ckpt_export`` maps nothing).

    Args:
        save_dir: folder of the checkpoints.
        save_dict: what to save; a single entry is stored as its plain state dict.
        **options: as of ``monai.handlers.CheckpointSaver``.

    Raises:
        OutputError: if ``save_dir`` cannot be written to, or the disk is full.
    """

    def __init__(self, save_dir: str, save_dict: dict[str, Any], **options: Any) -> None:
        make_folder(save_dir)  # told before the training, not after its first epoch
        super().__init__(save_dir, save_dict, **options)
        fixed = {
            "_final_checkpoint": options.get("final_filename"),
            "_key_metric_checkpoint": options.get("key_metric_filename"),
            "_interval_checkpoint": None,
        }
        for attribute, filename in fixed.items():
            checkpoint = getattr(self, attribute)
            if checkpoint is not None:
                checkpoint.save_handler = _AtomicSaver(save_dir, filename)

    @property
    def best_path(self) -> Path | None:
        """Where the best weights lie; None before any are saved."""
        checkpoint = self._key_metric_checkpoint
        if checkpoint is None or (last := checkpoint.last_checkpoint) is None:
            return None
        saver = checkpoint.save_handler
        filename = saver.filename if isinstance(saver, _AtomicSaver) else None
        return Path(self.save_dir) / (filename or Path(last).name)

    def state_dict(self) -> dict[str, Any]:
        """Returns which weights were the best so far; a resumed training must beat them."""
        checkpoint = self._key_metric_checkpoint
        return {} if checkpoint is None else dict(checkpoint.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned."""
        if self._key_metric_checkpoint is not None:
            self._key_metric_checkpoint.load_state_dict(state)


class _AtomicSaver(DiskSaver):
    def __init__(self, folder: str, filename: str | None) -> None:
        super().__init__(dirname=folder, require_empty=False, atomic=True, create_dir=True)
        self.filename = filename

    def __call__(
        self,
        checkpoint: Mapping[str, Any],
        filename: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__call__(checkpoint, self.filename or filename, metadata)

    def _save_func(self, checkpoint: Mapping[str, Any], path: Path, func: Any) -> None:
        """Called by Ignite in the process that saves, and in no other."""
        on_cpu = _on_cpu(checkpoint)
        with writing(path):
            super()._save_func(on_cpu, path, func)

    def remove(self, filename: str) -> None:
        if self.filename is None:  # a fixed name is replaced, never removed first
            super().remove(filename)


def _on_cpu(item: Any) -> Any:
    """Returns a checkpoint with all tensors on the CPU; those that are there are not copied."""
    if isinstance(item, Tensor):
        return item.cpu()
    if isinstance(item, MutableMapping):
        moved = copy.copy(item)  # keeps its kind; state dicts of modules carry metadata beside
        for key, value in item.items():
            moved[key] = _on_cpu(value)
        if hasattr(item, "_metadata"):
            moved._metadata = item._metadata  # type: ignore[attr-defined]
        return moved
    if type(item) in (list, tuple):
        return type(item)(_on_cpu(value) for value in item)
    return item
