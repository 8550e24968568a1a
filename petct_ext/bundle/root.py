"""Where bundles lie: the one that is being run, and those beside this package.

A bundle's configuration has to work from the repository root, from the bundle's folder, and after
the bundle was copied elsewhere. MONAI knows the folder of the configuration but gives
configurations no key for it, hence :func:`bundle_root`: ``"bundle_root":
"$bundle_root('scan_model')"``. ``--bundle_root`` on the command line wins over it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from petct_ext.bundle.settings import config_files, given_options, is_monai_command
from petct_ext.errors import InputDataError

__all__ = [
    "REPOSITORY",
    "bundle_root",
    "config_files_of",
]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
"""Folder with ``bundles`` and ``scripts``, beside the package."""


def bundle_root(name: str) -> str:
    """Returns the absolute root folder of the running bundle.

    Looks, in this order, at ``--config_file`` of MONAI's command line, at the workflow or MONAI
    command that Python code calls, at ``--config_file`` of another program, at the working
    directory, and at ``bundles/<name>`` below the working directory and beside this package.

    Args:
        name: name of the bundle's folder, used by the last resort only; a copy may be renamed.

    Raises:
        InputDataError: if no bundle is found; says which places were tried.
    """
    tried = []
    for candidate in _candidates(name):
        if (candidate / "configs" / "metadata.json").is_file():
            return str(candidate.resolve())
        tried.append(str(candidate))
    raise InputDataError(
        f"no bundle {name!r} was found (tried {', '.join(dict.fromkeys(tried))}); run from the "
        "repository or the bundle's folder, or add --bundle_root PATH."
    )


def _candidates(name: str) -> Iterator[Path]:
    given = given_options().get("config_file")
    on_command_line = [] if given is None else list(_of_config_files(given))
    if not (on_command_line and is_monai_command()):
        yield from _of_callers()
    yield from on_command_line
    yield Path.cwd()
    yield Path.cwd() / "bundles" / name
    yield REPOSITORY / "bundles" / name
    yield REPOSITORY  # the exported bundle holds a copy of this package


def _of_callers() -> Iterator[Path]:
    """Yields the roots of the workflow or MONAI command that Python code calls.

    MONAI 1.6.1 gives expressions no way to it: neither the parser, nor its globals, nor ``_meta_``
    hold a path. A workflow keeps it to itself, the other commands have a local variable, hence the
    look at the frames of the callers.
    """
    if "monai.bundle" not in sys.modules:  # whoever calls it has imported it; we need not
        return
    from monai.bundle import ConfigWorkflow

    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigWorkflow):
            yield owner.config_root_path.parent
        if "config_file_" in frame.f_locals:  # verify_net_in_out, ckpt_export, onnx_export
            yield from _of_config_files(frame.f_locals["config_file_"])
        frame = frame.f_back


def _of_config_files(given: object) -> Iterator[Path]:
    for file in config_files(given):
        yield file.parent.parent


def config_files_of(bundle: str, *names: str) -> tuple[Path, ...]:
    """Returns files of a bundle's ``configs``; absolute paths stay what they are."""
    return tuple(REPOSITORY / "bundles" / bundle / "configs" / name for name in names)
