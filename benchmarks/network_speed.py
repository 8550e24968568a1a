"""Times the scan model against the authors' layers rebuilt plainly, in the same run.

On a GPU: forward and training step of one exam of 2 x 208 x 224 x 224 with peak memory. On a CPU:
the same at 16 slices unless --slices says otherwise. Beside each stands the arithmetic floor: on a
GPU from the card's peak, on a CPU from the speed of a large matrix product in the same run. Rounds
are interleaved and medians are given; CPU times are those of the processor (one thread) or of the
clock (more threads). --memory counts, without computing anything, the memory that a training step
takes (weights, gradients, Adam and activations; torch's MemTracker on fake tensors).

On a GPU "fp32" means float32 throughout; TF32, torch's default for convolutions, stands beside it.
bf16 is shown with the largest change of a probability; on a processor without bf16 units it takes
minutes and is left out unless --ways names it.
--compile adds torch.compile with frozen weights, which takes a minute before the first exam and
again for every new number of slices. OpenVINO (extra `openvino`, CPU only) compiles once.

Example:
    python benchmarks/network_speed.py --rounds 3
    python benchmarks/network_speed.py --slices 208 --rounds 1 --threads 2 --ways authors folded
    python benchmarks/network_speed.py --memory --batch-size 2 --slices 300
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from unittest.mock import patch

import torch
from authors_layers import AuthorsScanModel
from torch import Tensor, nn
from torch._inductor import config as inductor
from torch.nn import functional as F

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.scan.inferers import OpenVINOInferer
from petct_ext.scan.networks.exported import fold_batch_norms
from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.region_classifier import RegionClassifier

REGIONS = 26
# Vendor's fp32, bf16 as others measured for matrix products, half of it for TF32. Other cards: no
# floor is shown.
PEAK_TFLOPS = {"NVIDIA H200": {"fp32": 60.0, "tf32": 395.0, "bf16": 790.0}}
# Forward, 2 x multiplications, 224 x 224 in plane; a training step takes three times that.
FLOP_PER_SLICE = 665e9 / 208
Way = tuple[nn.Module, str]  # network, precision: fp32, tf32 (GPU) or bf16


class ThroughOpenVINO(nn.Module):
    """A network as the bundles' inference_openvino.json runs it."""

    def __init__(self, network: RegionClassifier, precision: str) -> None:
        super().__init__()
        self.network = network
        self.inferer = OpenVINOInferer(precision)

    def forward(self, image: Tensor) -> Tensor:
        """Returns logits; takes a batch."""
        with torch.autocast("cpu", enabled=False):  # OpenVINO rounds by itself
            return self.inferer(image, self.network)


def new_network(*, checkpointing: bool = False, channels_last: bool = False) -> RegionClassifier:
    torch.manual_seed(0)  # the same weights for all ways of ours
    encoder = I3DEncoder(gradient_checkpointing=checkpointing, channels_last=channels_last)
    return RegionClassifier(encoder, REGIONS)


@torch.no_grad()
def settle(network: RegionClassifier) -> RegionClassifier:
    """Gives an untrained network statistics and logits of the size that trained ones have.

    Without them features fade from layer to layer, and so would every error of rounding.
    """
    image = torch.rand(2, 2, 64, 64, 16, generator=torch.Generator().manual_seed(0))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
    network.train()(image)
    network.eval()
    network.head.weight.mul_(2.0 / network(image).std())
    return network


def forward_ways(*, compiled: bool = False) -> dict[str, Way]:
    ours = settle(new_network())
    folded = fold_batch_norms(ours)
    last = new_network(channels_last=True)
    last.load_state_dict(ours.state_dict())
    last = fold_batch_norms(last)
    ways: dict[str, Way] = {
        "authors": (AuthorsScanModel().eval(), "fp32"),
        "authors, tf32": (AuthorsScanModel().eval(), "tf32"),
        "ours": (ours, "fp32"),
        "folded": (folded, "fp32"),
        "folded, channels last": (last, "fp32"),
        "folded, bf16": (folded, "bf16"),
        "folded, channels last, bf16": (last, "bf16"),
    }
    if not torch.cuda.is_available():
        ways |= openvino_ways(ours)
    if compiled:
        inductor.freezing = True
        for suffix, kind in (("", "fp32"), (", bf16", "bf16")):
            folded = fold_batch_norms(ours)
            folded.compile()
            ways[f"folded, compiled{suffix}"] = (folded, kind)
    return ways


def openvino_ways(network: RegionClassifier) -> dict[str, Way]:
    ways: dict[str, Way] = {}
    try:
        ways["OpenVINO"] = (ThroughOpenVINO(network, "f32"), "fp32")
        ways["OpenVINO, bf16"] = (ThroughOpenVINO(network, "bf16"), "bf16")
    except InputDataError as error:  # not installed, or no units for bf16
        print(f"left out: {error}")
    return ways


def training_ways() -> dict[str, Way]:
    last = new_network(channels_last=True)
    return {
        "authors": (AuthorsScanModel().train(), "fp32"),
        "authors, tf32": (AuthorsScanModel().train(), "tf32"),
        "ours": (new_network().train(), "fp32"),
        "checkpointing": (new_network(checkpointing=True).train(), "fp32"),
        "channels last": (last.train(), "fp32"),
        "channels last, bf16": (last, "bf16"),
    }


@contextmanager
def precision(device: torch.device, name: str) -> Iterator[None]:
    """On a GPU "fp32" is float32 throughout; torch's default for convolutions is TF32."""
    torch.backends.cudnn.allow_tf32 = name != "fp32"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=name == "bf16"):
        yield


def predict(way: Way, image: Tensor) -> Tensor:
    network, name = way
    with torch.inference_mode(), precision(image.device, name):
        logits: Tensor = network(image).float()
    return logits


def train(way: Way, image: Tensor) -> Tensor:
    network, name = way
    network.zero_grad()
    with precision(image.device, name):
        logits = network(image)
    loss = F.binary_cross_entropy_with_logits(logits.float(), torch.zeros_like(logits).float())
    loss.backward()
    return loss.detach()


def seconds(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def measure(
    ways: dict[str, Way], step: Callable[[Way, Tensor], Tensor], image: Tensor, rounds: int
) -> None:
    times: dict[str, list[float]] = {name: [] for name in ways}
    memory = dict.fromkeys(ways, 0.0)
    outputs = {}
    for round_number in range(rounds + 1):  # the first one warms up
        for name, way in ways.items():
            with alone_on(image.device, way[0]):
                if image.is_cuda and round_number:
                    step(way, image)  # the network has just been moved
                begin = seconds(image.device)
                outputs[name] = step(way, image)
                times[name].append(seconds(image.device) - begin)
                if image.is_cuda:
                    memory[name] = torch.cuda.max_memory_allocated() / 2**30
    passes = 1 if step is predict else 3
    flop = passes * FLOP_PER_SLICE * image.shape[0] * image[0, 0].numel() / 224**2
    first = statistics.median(next(iter(times.values()))[1:])
    speeds = {kind: flop_per_second(image.device, kind) for _, kind in ways.values()}
    for name, (_, kind) in ways.items():
        median = statistics.median(times[name][1:])
        line = f"  {name:28s} {median:8.3f} s {first / median:6.2f} x"
        if (speed := speeds[kind]) is not None:
            line += f"  floor {flop / speed:8.4f} s"
        if image.is_cuda:
            line += f"  {memory[name]:6.2f} GiB"
        if (
            step is predict
            and "ours" in outputs
            and name not in ("authors", "authors, tf32", "ours")
        ):
            change = (outputs[name].sigmoid() - outputs["ours"].sigmoid()).abs().max()
            line += f"  largest change of a probability {float(change):.1e}"
        print(line)


@contextmanager
def alone_on(device: torch.device, network: nn.Module) -> Iterator[None]:
    """Holds a network, and no other one, on a GPU, so that its memory is its own."""
    network.to(device)
    if device.type != "cuda":
        yield
        return
    torch.cuda.reset_peak_memory_stats()
    yield
    network.zero_grad(set_to_none=True)
    network.cpu()
    torch.cuda.empty_cache()


def is_fast(device: torch.device, name: str) -> bool:
    """Says whether the device has units for the precision; without them a pass takes minutes."""
    if device.type == "cuda" or name == "fp32":
        return True
    return name == "bf16" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def flop_per_second(device: torch.device, name: str) -> float | None:
    """Returns the peak of a known card, or on a CPU the speed of a large matrix product now."""
    if device.type == "cuda":
        peak = PEAK_TFLOPS.get(torch.cuda.get_device_name(device), {}).get(name)
        return None if peak is None else peak * 1e12
    size = 2048
    matrix = torch.rand(size, size).to(torch.bfloat16 if name == "bf16" else torch.float32)
    times = []
    for _ in range(4):
        begin = seconds(device)
        torch.mm(matrix, matrix)
        times.append(seconds(device) - begin)
    return 2 * size**3 / statistics.median(times[1:])


def max_pool_as_on_a_gpu(pool: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """On a CPU autocast pools in float32, on a GPU in the precision of the map."""

    @wraps(pool)
    def pooled(*arguments: object, **options: object) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return pool(*arguments, **options)

    return pooled


def count_memory(batch_size: int, slices: int, *, checkpointing: bool, bf16: bool) -> float:
    """Returns GiB at the peak of two training steps with Adam, of which nothing is computed."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    with FakeTensorMode(), patch.object(F, "max_pool3d", max_pool_as_on_a_gpu(F.max_pool3d)):
        encoder = I3DEncoder(gradient_checkpointing=checkpointing)
        network = RegionClassifier(encoder, REGIONS).train()
        optimizer = torch.optim.Adam(network.parameters())
        image = torch.rand(batch_size, 2, 224, 224, slices)
        tracker = MemTracker()
        tracker.track_external(network, optimizer, image)
        with tracker:
            for step in range(2):
                train((network, "bf16" if bf16 else "fp32"), image)
                optimizer.step()
                if step == 0:
                    tracker.reset_mod_stats()
        return float(sum(d["Total"] for d in tracker.get_tracker_snapshot("peak").values())) / 2**30


def main(arguments: argparse.Namespace) -> None:
    if arguments.memory:
        for checkpointing in (False, True):
            for bf16 in (False, True):
                size = count_memory(
                    arguments.batch_size,
                    arguments.slices or 300,
                    checkpointing=checkpointing,
                    bf16=bf16,
                )
                print(f"checkpointing {checkpointing!s:5s}  bf16 {bf16!s:5s}  {size:6.2f} GiB")
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.deterministic = True  # as in the bundles
    slices = arguments.slices or (208 if device.type == "cuda" else 16)
    torch.manual_seed(0)
    shape = (arguments.batch_size, 2, arguments.in_plane, arguments.in_plane, slices)
    image = torch.rand(shape, device=device)
    print(f"{torch.get_num_threads()} threads on {device.type}, {list(shape)}")
    for title, make, step in (
        ("forward", partial(forward_ways, compiled=arguments.compile), predict),
        ("training step", training_ways, train),
    ):
        if title == "training step" and not arguments.training:
            continue
        ways = make()
        chosen = arguments.ways or [n for n, (_, kind) in ways.items() if is_fast(device, kind)]
        print(title)
        measure({n: w for n, w in ways.items() if n in chosen}, step, image, arguments.rounds)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, help="208 on a GPU, 16 on a CPU, 300 for --memory")
    parser.add_argument("--in-plane", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--threads", type=int, help="on a CPU; torch's choice otherwise")
    parser.add_argument("--training", action="store_true", help="also training steps")
    parser.add_argument("--compile", action="store_true", help="also torch.compile; takes minutes")
    parser.add_argument("--memory", action="store_true", help="count the memory of training only")
    parser.add_argument("--ways", nargs="+", help="some of the ways by name; all otherwise")
    run(main, parser)
