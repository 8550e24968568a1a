"""The scan model: options, ablations, regions in the weights, and clear errors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.handlers import CheckpointLoader
from torch.testing import assert_close

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.training.checkpoints import AtomicCheckpointSaver
from tests.scan.networks.region_networks import region_classifier

REGIONS = ["liver", "spine", "neck"]


def network(**options: Any) -> RegionClassifier:
    chosen: dict[str, Any] = {"num_heads": 2, "width": 0.0625, "last_stage": "mixed_3b"} | options
    return region_classifier(2, 3, **chosen)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 2, 32, 32, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "sum"},
        {"pooling": "mean"},
        {"project_values": False, "num_heads": 1},
        {"channels": [0]},
        {"channels": [1]},
        {"num_frequencies": 2},
        {"gradient_checkpointing": True},
    ],
    ids=str,
)
def test_every_ablation_trains_scripts_and_explains_its_logits(
    image: torch.Tensor, options: dict[str, Any]
) -> None:
    net = network(**options)
    slices = torch.tensor([9, 5])
    logits = net(image, slices)
    assert logits.shape == (2, 3)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.eval()
    with torch.no_grad():
        logits = net(image, slices)
        assert_close(torch.jit.script(net)(image, slices), logits)
        added = net.contributions(image, slices).flatten(2).sum(dim=2)
        assert net.attention(image, slices).shape[1] == 3
    constant: torch.Tensor = net.head.bias
    if net.head.value_bias is not None:
        constant = constant + (net.head.value_bias * net.head.weight).sum(dim=(1, 2))
    assert_close(added + constant, logits)


@pytest.mark.parametrize("channel", [0, 1])
def test_single_modality_does_not_see_the_other(image: torch.Tensor, channel: int) -> None:
    net = network(channels=[channel]).eval()
    assert net.encoder.in_channels == 1
    changed = image.clone()
    changed[:, 1 - channel] += 1.0
    with torch.no_grad():
        assert_close(net(changed), net(image), rtol=0, atol=0)
        changed[:, channel] *= 3.0
        assert not torch.equal(net(changed), net(image))


@pytest.mark.parametrize("channels", [[], [2], [-1, 0]])
def test_channels_that_do_not_exist_are_refused(channels: list[int]) -> None:
    with pytest.raises(
        ValueError, match=r"channels is \[.*\], expected some of \[0, 1\]: 0 is PET"
    ):
        network(channels=channels)


@pytest.mark.parametrize("shape", [(1, 1, 32, 32, 9), (1, 3, 32, 32, 9), (2, 32, 32, 9)])
def test_wrong_channels_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"image has shape \[.*\], expected \(B, 2, X, Y, Z\)"):
        network()(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"expected \(B, 2, X, Y, Z\)"):
        network(channels=[0])(torch.zeros(shape))


def test_exam_without_slices_is_told_the_minimum() -> None:
    with pytest.raises(ValueError, match=r"32, 32, 0\], expected at least one exam of one slice"):
        network()(torch.zeros(1, 2, 32, 32, 0))
    assert network().eval()(torch.zeros(1, 2, 32, 32, 1)).shape == (1, 3)


def test_counts_of_slices_for_other_exams_are_told(image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"num_slices has shape \[3\], expected one .* 2 exams"):
        network()(image, torch.tensor([1, 2, 3]))


def test_regions_without_outputs_are_refused() -> None:
    with pytest.raises(ValueError, match="regions has 2 names for 3 outputs"):
        network(regions=["liver", "spine"])


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (["spine", "liver", "neck"], r"same regions in another order \(output 0 is liver, expect"),
        (["liver", "spine", "head"], r"other regions \(without head, with neck\)"),
        (["a", "b", "c"], r"\(without a and b and c, with liver and spine and neck\)"),
    ],
)
def test_weights_of_other_regions_are_refused(
    tmp_path: Path, regions: list[str], message: str
) -> None:
    path = tmp_path / "model.pt"
    torch.save(network(regions=REGIONS).state_dict(), path)
    with pytest.raises(InputDataError, match=rf"model\.pt holds weights of .*{message}.*; set"):
        check_weights(network(regions=regions), path)
    with pytest.raises(RuntimeError, match=message):
        network(regions=regions).load_state_dict(torch.load(path, weights_only=True))


def test_regions_survive_saver_and_loader_of_the_bundles(tmp_path: Path) -> None:
    engine, trained = Engine(_step), network(regions=REGIONS)
    AtomicCheckpointSaver(
        str(tmp_path), {"model": trained}, save_final=True, final_filename="model.pt"
    ).attach(engine)
    engine.run([0])
    same, other = network(regions=REGIONS), network(regions=REGIONS[::-1])
    CheckpointLoader(str(tmp_path / "model.pt"), {"model": same})(engine)
    assert_close(dict(same.state_dict()), dict(trained.state_dict()))
    with pytest.raises(RuntimeError, match="same regions in another order"):
        CheckpointLoader(str(tmp_path / "model.pt"), {"model": other})(engine)


def _step(engine: Engine, batch: object) -> None:
    """Trains nothing."""


def test_weights_without_names_fit_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(network().state_dict(), tmp_path / "model.pt")
    named = network(regions=REGIONS)
    named.load_state_dict(check_weights(named, tmp_path / "model.pt"))
    assert "model.pt does not name its regions" in caplog.text


def test_names_add_no_tensor_to_the_weights() -> None:
    buffer = io.BytesIO()
    state = network(regions=REGIONS).state_dict()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=True)
    assert list(loaded) == list(network().state_dict())
    network().load_state_dict(loaded)


def settled_network(**options: Any) -> RegionClassifier:
    """An untrained network whose features have the size of trained ones."""
    torch.manual_seed(0)
    network = region_classifier(2, 3, width=0.125, last_stage="mixed_4b", **options)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(2, 2, 32, 32, 16))
    return network.eval()


@pytest.mark.parametrize("num_slices", [13, 14, 15, 16])
def test_padding_up_to_the_stride_changes_nothing(num_slices: int) -> None:
    network = settled_network()
    image = torch.rand(1, 2, 32, 32, num_slices)
    longer = torch.nn.functional.pad(image, [0, 16 - num_slices])

    with torch.inference_mode():
        alone = network(image)
        padded = network(longer, torch.tensor([num_slices]))
        added = network.contributions(image)

    torch.testing.assert_close(padded, alone)
    assert added.shape[2:] == (2, 2, 4)


@pytest.mark.parametrize(
    ("last_stage", "axis", "size"),
    [("mixed_4b", 0, 176), ("mixed_4b", 2, 61), ("mixed_5c", 2, 160)],
)
def test_positions_are_centered_on_what_they_see(last_stage: str, axis: int, size: int) -> None:
    # All kernels are positive: a position answers to a bright plane if and only if it sees it.
    network = region_classifier(1, 1, width=0.1, num_heads=1, last_stage=last_stage).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.constant_(module.weight, 1.0)
    shape = [4, 4, 4]
    shape[axis] = size
    planes = torch.zeros(size, 1, *shape)
    for voxel in range(size):
        planes[voxel].select(axis + 1, voxel).fill_(1.0)
    position = size // network.encoder.strides[axis] // 2

    with torch.inference_mode():
        features = network.encoder(torch.nn.functional.pad(planes, [0, -shape[2] % 8]))
    answers = features.amax(dim=1).movedim(axis + 1, 1)[:, position].flatten(1).amax(dim=1)
    seen = answers.nonzero().flatten().tolist()

    assert 0 < seen[0] < seen[-1] < size - 1  # not cut off by a border
    center = network.first_center(shape)[axis] + position * network.encoder.strides[axis]
    assert center == (seen[0] + seen[-1]) / 2
