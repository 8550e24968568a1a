"""The encoder has the published size and reduces a volume by its strides."""

from __future__ import annotations

import pytest
import torch

from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.inception import delta_orthogonal, same_padding


@pytest.mark.parametrize("shape", [(32, 32, 8), (64, 32, 16), (50, 40, 20)])
def test_feature_map_is_the_input_over_the_strides_rounded_up(shape: tuple[int, int, int]) -> None:
    encoder = I3DEncoder(width=0.125).eval()
    expected = [-(-size // stride) for size, stride in zip(shape, encoder.strides, strict=True)]
    assert encoder(torch.zeros(1, 2, *shape)).shape == (1, encoder.out_channels, *expected)


def test_has_the_parameters_of_the_published_network() -> None:
    """12 287 264: RGB I3D of Carreira & Zisserman without its 1024 -> 400 classifier."""
    encoder = I3DEncoder(in_channels=3)
    assert encoder.out_channels == 1024
    assert sum(p.numel() for p in encoder.parameters()) == 12_287_264


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 2), (3, 1), (2, 2), (1, 1)])
def test_pads_like_tensorflow_so_that_published_weights_fit(
    size: int, kernel: int, stride: int
) -> None:
    """TensorFlow keeps ceil(size / stride) positions; the odd zero goes behind the input."""
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
    assert after - before in (0, 1)


def test_one_slice_is_enough() -> None:
    assert I3DEncoder(width=0.125).eval()(torch.zeros(1, 2, 64, 64, 1)).shape[2:] == (2, 2, 1)


@pytest.mark.parametrize(
    ("stage", "channels", "strides"),
    [("mixed_3c", 480, (8, 8, 2)), ("mixed_4f", 832, (16, 16, 4)), ("mixed_5c", 1024, (32, 32, 8))],
)
def test_earlier_end_gives_a_finer_map(
    stage: str, channels: int, strides: tuple[int, int, int]
) -> None:
    encoder = I3DEncoder(width=0.125, last_stage=stage).eval()
    assert encoder.out_channels == channels // 8
    assert encoder.strides == strides
    expected = [-(-size // stride) for size, stride in zip((64, 64, 20), strides, strict=True)]
    assert encoder(torch.zeros(1, 2, 64, 64, 20)).shape[2:] == tuple(expected)


def test_unknown_end_is_refused() -> None:
    with pytest.raises(ValueError, match="last_stage is 'mixed_6a'; stages are mixed_3b"):
        I3DEncoder(last_stage="mixed_6a")


def test_script_gives_the_same_features() -> None:
    encoder = I3DEncoder(width=0.0625).eval()
    image = torch.rand(1, 2, 40, 33, 17)
    torch.testing.assert_close(torch.jit.script(encoder)(image), encoder(image))


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive, got 0"):
        I3DEncoder(0)


@pytest.mark.parametrize("shape", [(24, 24, 1, 1, 1), (16, 40, 1, 1, 1), (40, 16, 1, 1, 1)])
def test_start_mixes_channels_by_an_orthogonal_matrix_of_gain_root_two(
    shape: tuple[int, ...],
) -> None:
    kernel = torch.empty(shape)
    delta_orthogonal(kernel)
    mixing = kernel[:, :, 0, 0, 0]
    gram = mixing @ mixing.T if shape[0] <= shape[1] else mixing.T @ mixing
    torch.testing.assert_close(gram, 2.0 * torch.eye(min(shape[:2])), atol=1e-4, rtol=0)


def test_start_looks_at_the_center_of_a_small_kernel() -> None:
    kernel = torch.empty(32, 32, 3, 3, 3)
    delta_orthogonal(kernel)
    center = kernel[:, :, 1, 1, 1].clone()
    torch.testing.assert_close(center @ center.T, 2.0 * torch.eye(32), atol=0.2, rtol=0)
    kernel[:, :, 1, 1, 1] = 0.0
    rest = kernel.std()
    assert 0 < rest < 0.03 * center.std()


def test_start_of_the_stem_blurs_and_finds_edges() -> None:
    kernel = torch.empty(64, 2, 7, 7, 7)
    delta_orthogonal(kernel)
    # Both Gaussians sum to one, so that the edges cancel and the mixing is left.
    mixing = kernel.sum(dim=(2, 3, 4))
    torch.testing.assert_close(mixing.T @ mixing, 2.0 * torch.eye(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(kernel, kernel.flip(2, 3, 4))


def test_start_depends_on_the_seed_alone() -> None:
    def start(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return I3DEncoder(width=0.0625).state_dict()

    first, same, other = start(1), start(1), start(2)
    assert all(torch.equal(first[key], same[key]) for key in first)
    kernels = [key for key in first if first[key].ndim == 5]
    assert kernels
    assert not any(torch.equal(first[key], other[key]) for key in kernels)


@pytest.mark.parametrize("stage", ["mixed_3b", "mixed_4b"])
def test_checkpointing_changes_neither_gradients_nor_statistics(stage: str) -> None:
    torch.manual_seed(0)
    plain = I3DEncoder(width=0.0625, last_stage=stage)
    saving = I3DEncoder(width=0.0625, last_stage=stage, gradient_checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    image = torch.rand(2, 2, 32, 32, 9)
    for encoder in (plain, saving):
        encoder(image).square().mean().backward()
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    for (name, buffer), other in zip(plain.named_buffers(), saving.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, msg=name)


def test_checkpointing_keeps_less() -> None:
    def kept(encoder: I3DEncoder) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            features = encoder(torch.rand(1, 2, 32, 32, 16))
        assert features.requires_grad
        return sum(sizes.values())

    plain = I3DEncoder(width=0.125)
    assert kept(I3DEncoder(width=0.125, gradient_checkpointing=True)) < 0.3 * kept(plain)


@pytest.mark.parametrize("shape", [(32, 32, 8), (31, 45, 17), (64, 33, 2), (9, 9, 1)])
def test_pooling_without_gradients_is_the_same(shape: tuple[int, int, int]) -> None:
    encoder = I3DEncoder(width=0.0625).eval()
    image = torch.randn(2, 2, *shape)
    with torch.no_grad():
        fast = encoder(image)
    torch.testing.assert_close(fast, encoder(image).detach(), rtol=0, atol=0)


def test_channels_last_is_a_layout_and_no_other_function() -> None:
    plain = I3DEncoder(width=0.0625)
    last = I3DEncoder(width=0.0625, channels_last=True)
    last.load_state_dict(plain.state_dict())
    image = torch.rand(2, 2, 32, 33, 9)
    kernel = last.stages.conv_2c[1].weight  # type: ignore[index, union-attr]
    assert kernel.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(last.eval()(image), plain.eval()(image), atol=1e-5, rtol=1e-5)
