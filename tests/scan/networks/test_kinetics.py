"""Published weights give the published function; others are refused, naming what differs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.kinetics import convert_kinetics, load_kinetics, read_kinetics
from tests.scan.networks import published_i3d as published
from tests.scan.networks.region_networks import region_classifier

Weights = dict[str, Any]
FORMS = pytest.mark.parametrize("form", ["hassony2", "piergiaj", "deepmind"])


@pytest.fixture(scope="module")
def forms() -> dict[str, Weights]:
    arrays = published.deepmind(np.random.default_rng(3))
    return {
        "deepmind": dict(arrays),
        "hassony2": dict(published.hassony2(arrays)),
        "piergiaj": dict(published.piergiaj(arrays)),
    }


@pytest.fixture(scope="module")
def encoder() -> I3DEncoder:
    return I3DEncoder(2)


@FORMS
@pytest.mark.parametrize("slices", [16, 21])
def test_function_is_the_published_one(
    forms: dict[str, Weights], encoder: I3DEncoder, form: str, slices: int
) -> None:
    assert load_into(encoder, forms[form]) == 57 * 6
    generator = torch.Generator().manual_seed(slices)
    video = torch.randn(1, 2, slices, 48, 70, generator=generator)  # B, C, T, H, W
    with torch.no_grad():
        expected = published.published_forward(forms["piergiaj"], video)
        found = encoder.eval()(video.permute(0, 1, 4, 3, 2)).permute(0, 1, 4, 3, 2)
    assert found.shape == expected.shape == (1, 1024, -(-slices // 8), 2, 3)
    assert expected.abs().max() > 0.1
    assert (found - expected).abs().max() <= 1e-4


def load_into(encoder: I3DEncoder, weights: Weights) -> int:
    state = convert_kinetics(weights, encoder)
    encoder.load_state_dict(state)
    return len(state)


def test_names_are_those_of_the_publishers(forms: dict[str, Weights]) -> None:
    """A sample of each list, as printed by the publishers' own code."""
    for form, names in {
        "hassony2": ["conv3d_1a_7x7.batch3d.running_var", "mixed_5b.branch_2.1.conv3d.weight"],
        "piergiaj": ["Conv3d_1a_7x7.bn.running_var", "Mixed_5b.b2b.conv3d.weight"],
        "deepmind": [
            "Flow/inception_i3d/Conv3d_1a_7x7/batch_norm/moving_variance",
            "Flow/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w",
            "Flow/inception_i3d/Mixed_5c/Branch_2/Conv3d_0b_3x3/conv_3d/w",
        ],
    }.items():
        assert set(names) <= forms[form].keys()
    assert len(forms["deepmind"]) == 57 * 4 + 2
    assert len(forms["hassony2"]) == len(forms["piergiaj"]) == 57 * 5 + 2


def test_time_becomes_the_slice_axis(forms: dict[str, Weights], encoder: I3DEncoder) -> None:
    state = convert_kinetics(forms["hassony2"], encoder)
    theirs = forms["hassony2"]["conv3d_1a_7x7.conv3d.weight"]
    ours = state["stages.conv_1a.1.weight"]
    assert ours[5, 1, 0, 3, 6] == theirs[5, 1, 6, 3, 0]


@FORMS
def test_what_lacks_is_named(forms: dict[str, Weights], encoder: I3DEncoder, form: str) -> None:
    weights = dict(forms[form])
    name = next(
        key for key in weights if re.search(r"[Mm]ixed_4d.*(running_mean|moving_mean)", key)
    )
    del weights[name]
    plain = re.escape(name.removeprefix("Flow/inception_i3d/"))
    with pytest.raises(InputDataError, match=rf"1 tensors differ \({plain}: missing\); use the"):
        convert_kinetics(weights, encoder)


@FORMS
def test_what_is_left_over_is_named(
    forms: dict[str, Weights], encoder: I3DEncoder, form: str
) -> None:
    weights = forms[form] | {"mixed_6a.extra": torch.zeros(2)}
    with pytest.raises(InputDataError, match=r"differ \(mixed_6a\.extra: left over\)"):
        convert_kinetics(weights, encoder)


def test_weights_for_color_do_not_fit_two_channels(encoder: I3DEncoder) -> None:
    weights = published.deepmind(np.random.default_rng(0), in_channels=3)
    with pytest.raises(
        InputDataError,
        match=r"Conv3d_1a_7x7/conv_3d/w: expected \(64, 2, 7, 7, 7\) for .*, found \(64, 3, 7, 7",
    ):
        convert_kinetics(weights, encoder)
    assert load_into(I3DEncoder(3), weights) == 57 * 6


def test_narrow_encoder_is_refused(forms: dict[str, Weights]) -> None:
    with pytest.raises(InputDataError, match=r"285 tensors differ .*; \.\.\.\); use .* width 1\.0"):
        convert_kinetics(forms["piergiaj"], I3DEncoder(2, width=0.125))


def test_values_that_are_not_finite_are_refused(
    forms: dict[str, Weights], encoder: I3DEncoder
) -> None:
    weights = forms["piergiaj"] | {"Mixed_3b.b0.bn.bias": torch.full((64,), torch.nan)}
    with pytest.raises(InputDataError, match=r"\(Mixed_3b\.b0\.bn\.bias: holds values that are"):
        convert_kinetics(weights, encoder)


def test_shallow_encoder_takes_what_it_has(forms: dict[str, Weights]) -> None:
    shallow = I3DEncoder(2, last_stage="mixed_3b")
    assert load_into(shallow, forms["hassony2"]) == 9 * 6


def test_unknown_names_are_told(encoder: I3DEncoder) -> None:
    with pytest.raises(InputDataError, match=r"none of the known names \(first: 'conv1\.weight'\)"):
        convert_kinetics({"conv1.weight": torch.zeros(1)}, encoder)


def save_state(path: Path, weights: Weights) -> None:
    torch.save(weights, path)


def save_arrays(path: Path, weights: Weights) -> None:
    np.savez(path, **weights)


@pytest.mark.parametrize(
    ("form", "name", "save"),
    [
        ("hassony2", "model_flow.pth", save_state),
        ("piergiaj", "flow_imagenet.pt", save_state),
        ("deepmind", "flow_imagenet.npz", save_arrays),
    ],
)
def test_files_load_into_the_encoder_alone(
    tmp_path: Path,
    forms: dict[str, Weights],
    form: str,
    name: str,
    save: Callable[[Path, Weights], None],
) -> None:
    network = region_classifier(2, 3, last_stage="mixed_3b")
    head = {key: value.clone() for key, value in network.head.state_dict().items()}
    save(tmp_path / name, forms[form])
    assert load_kinetics(network, tmp_path / name) == 9 * 6
    kernel = network.encoder.state_dict()["stages.conv_2c.1.weight"]
    expected = forms["hassony2"]["conv3d_2c_3x3.conv3d.weight"].permute(0, 1, 4, 3, 2)
    torch.testing.assert_close(kernel, expected, rtol=0, atol=0)
    for key, value in network.head.state_dict().items():
        torch.testing.assert_close(value, head[key], rtol=0, atol=0)


def test_null_loads_nothing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert load_kinetics(I3DEncoder(2, width=0.0625), None) == 0
    assert "random weights" in caplog.text


@pytest.mark.parametrize("name", ["a.pth", "a.npz"])
def test_damaged_and_missing_files_are_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputDataError, match=f"{name} does not exist"):
        read_kinetics(tmp_path / name)
    (tmp_path / name).write_bytes(b"not weights")
    with pytest.raises(InputDataError, match=f"{name} is no weight file, or is damaged"):
        read_kinetics(tmp_path / name)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save(I3DEncoder(2, width=0.0625), tmp_path / "whole.pt")
    with pytest.raises(InputDataError, match="is no weight file, or is damaged"):
        read_kinetics(tmp_path / "whole.pt")


def test_other_content_is_told(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputDataError, match=r"list\.pt holds no state dict"):
        read_kinetics(tmp_path / "list.pt")
