"""Every encoder keeps to the protocol, and whatever reads one works with each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from petct_ext.errors import InputDataError
from petct_ext.scan.interpretation.maps import attention_map, evidence_map
from petct_ext.scan.networks.definition import definition_of
from petct_ext.scan.networks.encoder import Encoder
from petct_ext.scan.networks.exported import (
    can_fold,
    compare_export,
    export_network,
    fold_batch_norms,
)
from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.kinetics import load_kinetics
from petct_ext.scan.networks.pretrained import check_weights, load_encoder
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.training.distributed import adapt_batch_norms
from tests.scan.networks.patch_encoder import PatchEncoder

MakeEncoder = Callable[..., Any]
ENCODERS: dict[str, MakeEncoder] = {
    "i3d": lambda channels=2: I3DEncoder(channels, width=0.0625, last_stage="mixed_4b"),
    "patches": lambda channels=2: PatchEncoder(channels),
}


@pytest.fixture(params=ENCODERS)
def make(request: pytest.FixtureRequest) -> MakeEncoder:
    return ENCODERS[request.param]


def classifier(make: MakeEncoder, outputs: int = 3, **options: Any) -> RegionClassifier:
    return RegionClassifier(make(), outputs, num_heads=2, **options)


def test_encoder_has_what_the_protocol_names(make: MakeEncoder) -> None:
    encoder = make()
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, nn.Module)
    definition = definition_of(encoder)
    target = definition.pop("_target_")
    assert target == f"{type(encoder).__module__}.{type(encoder).__name__}"
    again = type(encoder)(**definition)
    shapes = {name: tensor.shape for name, tensor in encoder.state_dict().items()}
    assert {name: tensor.shape for name, tensor in again.state_dict().items()} == shapes
    assert set(getattr(encoder, "free_options", ())) <= definition.keys()


@pytest.mark.parametrize("size", [(1, 1, 1), (32, 20, 1), (17, 33, 2), (16, 16, 13)])
def test_map_has_the_size_of_the_volume_over_the_strides(
    make: MakeEncoder, size: tuple[int, int, int]
) -> None:
    encoder = make().eval()
    with torch.inference_mode():
        features = encoder(torch.rand(2, 2, *size))
    positions = tuple(math.ceil(n / s) for n, s in zip(size, encoder.strides, strict=True))
    assert features.shape == (2, encoder.out_channels, *positions)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_positions_see_what_first_center_and_strides_say(make: MakeEncoder, axis: int) -> None:
    """All kernels are positive: a position answers to a bright plane if and only if it sees it."""
    encoder = make().eval()
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.weight, 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    stride = encoder.strides[axis]
    shape = [1, 1, 1]
    shape[axis] = size = 11 * stride
    planes = torch.zeros(size, 2, *shape)
    for voxel in range(size):
        planes[voxel].select(axis + 1, voxel).fill_(1.0)
    position = 5
    with torch.inference_mode():
        features = encoder(planes)
    answers = features.amax(dim=1).movedim(axis + 1, 1)[:, position].flatten(1).amax(dim=1)
    seen = answers.nonzero().flatten().tolist()
    assert 0 < seen[0] <= seen[-1] < size - 1  # not cut off by a border
    assert encoder.first_center(shape)[axis] + position * stride == (seen[0] + seen[-1]) / 2


def test_gradient_reaches_every_weight(make: MakeEncoder) -> None:
    network = classifier(make)
    network(torch.rand(2, 2, 32, 32, 9), torch.tensor([9, 5])).square().mean().backward()
    grads = {name: weight.grad for name, weight in network.named_parameters()}
    assert all(grad is not None for grad in grads.values())
    assert any(bool(g.any()) for name, g in grads.items() if "encoder." in name and g is not None)


def test_maps_add_up_to_the_logits_and_lie_on_the_volume(make: MakeEncoder) -> None:
    network, size = classifier(make).eval(), (32, 24, 9)
    image = torch.rand(1, 2, *size)
    with torch.inference_mode():
        logits, added = network(image), network.contributions(image)
        weights = network.attention(image)
    head = network.head
    assert head.value_bias is not None
    constant = head.bias + (head.value_bias * head.weight).sum(dim=(1, 2))
    torch.testing.assert_close(added.flatten(2).sum(dim=2) + constant, logits)
    torch.testing.assert_close(weights.flatten(3).sum(dim=3), torch.ones(1, 3, 2))
    place: Any = {
        "strides": network.encoder.strides,
        "first_center": network.first_center(size),
    }
    assert attention_map(weights[0], size, **place).shape == (3, *size)
    assert evidence_map(added[0], size, **place).shape == (3, *size)


def test_slices_that_pad_up_to_the_stride_change_nothing(make: MakeEncoder) -> None:
    network = classifier(make).eval()
    stride = network.encoder.strides[2]
    image = torch.rand(1, 2, 32, 32, 3 * stride - 1)
    longer = nn.functional.pad(image, [0, 1])
    with torch.inference_mode():
        padded = network(longer, torch.tensor([image.shape[4]]))
        torch.testing.assert_close(padded, network(image))


def test_single_modality_needs_an_encoder_of_one_channel(make: MakeEncoder) -> None:
    network = RegionClassifier(make(1), 3, num_heads=1, channels=[1])
    assert network.eval()(torch.rand(1, 2, 16, 16, 4)).shape == (1, 3)
    with pytest.raises(
        InputDataError, match=r"takes 2 channels, but the network sees 1 .*encoder#in_channels to 1"
    ):
        RegionClassifier(make(), 3, channels=[1])


def test_training_starts_from_weights_of_the_same_encoder_only(
    make: MakeEncoder, tmp_path: Path
) -> None:
    trained, start = classifier(make, 5), classifier(make, 1)
    torch.save(trained.state_dict(), tmp_path / "model.pt")
    assert load_encoder(start, tmp_path / "model.pt") == len(trained.encoder.state_dict())
    check_weights(classifier(make, 5), tmp_path / "model.pt")
    (other,) = (item for item in ENCODERS.values() if item is not make)
    with pytest.raises(InputDataError, match=r"the encoder of .* does not fit"):
        load_encoder(classifier(other, 1), tmp_path / "model.pt")


def test_network_is_exported_folded_or_not(make: MakeEncoder) -> None:
    network = classifier(make).eval()
    assert can_fold(network) == (not isinstance(network.encoder, PatchEncoder))
    folded = fold_batch_norms(network) if can_fold(network) else network
    program = export_network(folded, in_channels=2, in_plane=16)
    report = compare_export(network, program, shape=(1, 2, 16, 16), depths=(9, 20))
    assert report["max_abs_difference"]["logits"] < 1e-4


def test_several_processes_can_freeze_it(make: MakeEncoder) -> None:
    frozen = adapt_batch_norms(classifier(make), "frozen")
    image = torch.rand(2, 2, 16, 16, 8)
    expected = frozen.eval()(image)
    torch.testing.assert_close(frozen.train()(image), expected)


def test_published_weights_are_for_i3d_alone(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"fit I3DEncoder alone, the encoder is PatchEncoder"):
        load_kinetics(classifier(ENCODERS["patches"]), tmp_path / "flow.pth")


def test_what_is_no_encoder_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(InputDataError, match="encoder is 3, expected a torch"):
        RegionClassifier(3, 2)  # type: ignore[arg-type]
    with pytest.raises(InputDataError, match="the encoder Linear has no in_channels, out_channels"):
        RegionClassifier(nn.Linear(2, 2), 2)  # type: ignore[arg-type]
    wrong = PatchEncoder()
    wrong.strides = (4, 4, 0)
    with pytest.raises(InputDataError, match=r"strides \(4, 4, 0\), expected three whole numbers"):
        RegionClassifier(wrong, 2)


class _Forgetful(PatchEncoder):
    def __init__(self, in_channels: int = 2, *, depth: int = 1) -> None:
        super().__init__(in_channels)


def test_encoder_that_forgets_its_arguments_is_told_at_once() -> None:
    with pytest.raises(InputDataError, match="_Forgetful does not keep its argument 'depth'"):
        RegionClassifier(_Forgetful(), 2)


def test_export_needs_positions_of_few_slices() -> None:
    network = classifier(ENCODERS["patches"])
    network.encoder.strides = (4, 4, 16)
    with pytest.raises(InputDataError, match=r"one position for 16 slices; torch\.export can"):
        export_network(network, in_channels=2, in_plane=16)
