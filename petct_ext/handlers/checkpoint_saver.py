"""Checkpoints that a kill can never leave half-written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.handlers import DiskSaver
from monai.handlers import CheckpointSaver

__all__ = ["AtomicCheckpointSaver"]


class AtomicCheckpointSaver(CheckpointSaver):
    """MONAI's CheckpointSaver with atomic writes.

    MONAI switches Ignite's atomic writing off to keep the group's read permission, and removes the
    previous best model before it writes the next. Here the new file replaces the old one in one
    step, and has the permissions of any other new file.

    Args:
        save_dir: folder of the checkpoints.
        save_dict: what to save; a single entry is stored as its plain state dict.
        **options: as of ``monai.handlers.CheckpointSaver``.
    """

    def __init__(self, save_dir: str, save_dict: dict[str, Any], **options: Any) -> None:
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
        name = self.filename or filename
        super().__call__(checkpoint, name, metadata)
        path = Path(self.dirname) / name
        path.chmod(0o644)

    def remove(self, filename: str) -> None:
        if self.filename is None:  # a fixed name is replaced, never removed first
            super().remove(filename)
