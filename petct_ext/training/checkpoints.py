"""Checkpoints: read without running anything, never left half-written by a kill."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ignite.handlers import DiskSaver
from monai.handlers import CheckpointSaver
from torch import Tensor

from petct_ext.errors import InputDataError, OutputError
from petct_ext.files import atomic_path, make_folder

__all__ = [
    "AtomicCheckpointSaver",
    "read_checkpoint",
    "write_checkpoint",
    "writing",
]


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


def read_checkpoint(path: str | Path, *, remedy: str, what: str = "checkpoint") -> Any:
    """Reads what ``torch.save`` has written, to the CPU, with ``weights_only=True``.

    torch does not compare the checksums of a file, so that flipped bits would become weights.

    Args:
        path: the file.
        remedy: part of a sentence that ends an error, e.g. "copy it again".
        what: what the file should be, for the error.

    Raises:
        InputDataError: if the file is damaged or holds anything but tensors and plain values.
    """
    try:
        if zipfile.is_zipfile(path):  # older files of torch are none, and have no checksums
            with zipfile.ZipFile(path) as archive:
                if (broken := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"wrong checksum of {broken}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and operating system each have their own
        raise InputDataError(
            f"{path} is no {what}, or is damaged ({type(error).__name__}); {remedy}."
        ) from None


def write_checkpoint(state: Any, path: str | Path) -> None:
    """Writes with ``torch.save`` in one step.

    Raises:
        OutputError: if the folder cannot be written to or the disk is full.
    """
    with atomic_path(path) as partial, writing(path):
        torch.save(state, partial)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Tells of whatever ``torch.save`` raises in the block when it cannot write.

    Raises:
        OutputError: if the folder cannot be written to or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    except RuntimeError as error:  # how torch tells of a full disk
        raise OutputError(f"{path} cannot be written; is the disk full? ({error})") from error
