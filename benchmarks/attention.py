"""Times 26 regions x 8 attention heads: one module per region as the authors, against one product.

Same function (checked in the same run, in float64 on a few positions), same random weights; the
positions are those of an exam of 2 x 208 x 224 x 224, 26 x 7 x 7. Medians of interleaved rounds;
on a CPU seconds of the processor, on a GPU of the clock.

Example:
    python benchmarks/attention.py --rounds 5
"""

import argparse
import statistics
import time

import torch
from authors_layers import RegionAttention
from torch import Tensor, nn

from petct_ext.cli import new_parser, run
from petct_ext.scan.networks.attention_heads import RegionAttentionHead


@torch.no_grad()
def collapse(modules: nn.ModuleList) -> RegionAttentionHead:
    """Returns our head with the function of the authors' modules."""
    channels, heads = modules[0].query.numel(), modules[0].heads
    size = channels // heads
    head = RegionAttentionHead(channels, len(modules), num_heads=heads).to(modules[0].query)
    for r, m in enumerate(modules):
        query = m.project_query(m.query).view(heads, size)
        key = m.project_key.weight.view(heads, size, channels)
        head.query[r] = torch.einsum("hd,hdc->hc", query, key)
        head.value[r] = m.project_value.weight.view(heads, size, channels).transpose(1, 2)
        head.value_bias[r] = m.project_value.bias.view(heads, size)
        weight = m.classify.weight[0] @ m.project_out.weight
        head.weight[r] = weight.view(heads, size)
        head.bias[r] = m.classify.weight[0] @ m.project_out.bias + m.classify.bias[0]
    return head.eval()


def difference() -> float:
    """Returns the largest difference of a logit between both forms in float64."""
    modules = nn.ModuleList(RegionAttention(64, 8) for _ in range(3)).double().eval()
    features = torch.randn(2, 64, 3, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        theirs = torch.cat([module(features) for module in modules], dim=1)
        return float((collapse(modules)(features) - theirs).abs().max())


def seconds(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def main(arguments: argparse.Namespace) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    modules = nn.ModuleList(RegionAttention() for _ in range(26)).to(device).eval()
    ours = collapse(modules)
    shape = (arguments.batch_size, 1024, 7, 7, -(-arguments.slices // 8))
    features = torch.rand(shape, device=device)

    def authors(features: Tensor) -> Tensor:
        return torch.cat([module(features) for module in modules], dim=1)

    ways = {"authors, forward": (authors, False), "ours, forward": (ours, False)}
    if arguments.training:
        ways |= {"authors, step": (authors, True), "ours, step": (ours, True)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds + 1):  # the first one warms up
        for name, (way, training) in ways.items():
            begin = seconds(device)
            with torch.set_grad_enabled(training):
                logits = way(features)
            if training:
                logits.mean().backward()
            times[name].append(seconds(device) - begin)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    print(f"{torch.get_num_threads()} threads on {device.type}, {list(shape)}")
    print(f"largest difference of a logit, float64: {difference():.1e}")
    for name, median in medians.items():
        times_faster = medians["authors, " + name.rsplit(", ", maxsplit=1)[1]] / median
        print(f"{name:20s} {1e3 * median:9.2f} ms {times_faster:7.1f} x")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=208)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--training", action="store_true", help="also forward and backward")
    run(main, parser)
