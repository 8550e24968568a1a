"""Runs commands as a user does, in forks of a process that has imported MONAI (or pandas) once.

``tests/pipeline/test_forked.py`` shows that such a process is as a fresh one; the tests of the
command lines that a user types first start fresh ones.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from petct_ext.pipeline.forked import LIGHT, WITH_TORCH, start_command

__all__ = ["LIGHT", "WITH_TORCH", "run_forked"]

ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def run_forked(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    modules: Sequence[str] = WITH_TORCH,
    environment: Mapping[str, str] = os.environ,
) -> subprocess.CompletedProcess[str]:
    """Returns what :func:`subprocess.run` returns, with text of stdout and stderr."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start_command(
            command,
            stdout=out.fileno(),
            stderr=err.fileno(),
            environment={**environment, **ENVIRONMENT},
            folder=folder,
            modules=modules,
        )
        code = process.wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(list(command), code, *texts)
