"""Times how prepared exams reach the network, the former way and the present one side by side.

Exams are artificial: two 16-bit volumes of 224 x 224 x 208 voxels each, as scripts/prepare_exams.py
writes them, from the page cache. The former way made float32, windows and padding in the loader;
the present one hands on what is stored and does the rest on the device. One process with one
thread per way, in turn for several rounds; CPU time is that of all processes and threads. Beside
it, what is padding in batches of exams of 70 to 310 slices (or those of a datalist).

Example:
    python benchmarks/exam_loading.py --rounds 3
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from petct_ext.cli import new_parser, progress, run

SIDE = 224
BATCH = 2
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WINDOWS = {"pet": (0.0, 15.0, 15.0 / 0.7), "ct": (-1000.0, 1000.0, 5.0)}


def make_exams(folder: Path, *, count: int, num_slices: int) -> None:
    from petct_ext.dicom.volumes.conversion import _write_volume
    from petct_ext.dicom.volumes.resampling import Grid

    rng = np.random.default_rng(0)
    grid = Grid((SIDE, SIDE, num_slices), np.diag([2.23, 2.23, 3.27, 1.0]))
    for number in range(count):
        for key, step in (("pet", 0.001), ("ct", 1.0)):
            plane = rng.normal(200 * step, 100 * step, (SIDE, SIDE, 1)).astype(np.float32)
            array = np.broadcast_to(plane, grid.shape)
            _write_volume(folder / f"{number}_{key}.nii", array, grid, step=step)


def items_in(folder: Path) -> list[dict[str, Any]]:
    numbers = range(len(list(folder.glob("*_pet.nii"))))
    files = [{k: str(folder / f"{n}_{k}.nii") for k in ("pet", "ct")} for n in numbers]
    label = np.zeros(26, dtype=np.float32)
    return [{"exam_id": f"E{n}", "label": label, **paths} for n, paths in enumerate(files)]


def windows() -> list[Any]:
    from monai.transforms import ConcatItemsd, ScaleIntensityRanged

    scale = [
        ScaleIntensityRanged(key, low, high, 0.0, top, clip=True)
        for key, (low, high, top) in WINDOWS.items()
    ]
    return [*scale, ConcatItemsd(["pet", "ct"], name="image")]


def former_loader(folder: Path, *, repeats: int, processes: int) -> Iterable[Any]:
    """What the bundle did until version 0.1: all in the loader, float32."""
    import torch
    from monai.data import DataLoader, Dataset
    from monai.transforms import Compose, EnsureTyped, LoadImaged, Orientationd, SelectItemsd

    keys = ["pet", "ct"]
    load = Compose(
        [
            LoadImaged(keys, reader="NibabelReader", ensure_channel_first=True, image_only=True),
            Orientationd(keys, axcodes="RAS", labels=None),
            *windows(),
            SelectItemsd(["image", "label", "exam_id"]),
            EnsureTyped(["image", "label"], track_meta=False),
        ]
    )

    def padded(exams: list[dict[str, Any]]) -> Any:
        return torch.stack([exam["image"] for exam in exams])

    data = Dataset(items_in(folder) * repeats, load)
    return DataLoader(data, batch_size=BATCH, collate_fn=padded, num_workers=processes)


def present_loader(
    folder: Path, *, repeats: int, threads: int = 0, processes: int = 0, pin_memory: bool = False
) -> Iterable[Any]:
    from monai.data import DataLoader, Dataset

    from petct_ext.scan.data.batches import ThreadedDataLoader, gather_exams
    from petct_ext.scan.transforms.volumes import LoadPreparedd

    data = Dataset(items_in(folder) * repeats, LoadPreparedd())
    options: dict[str, Any] = {"batch_size": BATCH, "collate_fn": gather_exams}
    if processes:
        return DataLoader(data, num_workers=processes, **options)
    return ThreadedDataLoader(data, num_workers=threads, pin_memory=pin_memory, **options)


def device_seconds(folder: Path) -> float:
    """Seconds per exam of what the present way does on the device, with the augmentation."""
    import torch
    from monai.transforms import Compose, RandScaleIntensityd, RandSpatialCropd, Resized

    from petct_ext.scan.data.batches import PrepareExamBatch
    from petct_ext.scan.transforms.volumes import ToPhysicalUnitsd

    random = [
        RandSpatialCropd("image", roi_size=(200, 200, -1), random_size=False),
        Resized("image", spatial_size=(SIDE, SIDE, -1), mode="trilinear"),
        RandScaleIntensityd("image", factors=0.1, prob=1.0),
    ]
    prepare = PrepareExamBatch(Compose([ToPhysicalUnitsd(["pet", "ct"]), *windows(), *random]))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seconds = []
    is_gpu = device.type == "cuda"
    for batch in present_loader(folder, repeats=12 if is_gpu else 2, pin_memory=is_gpu):
        if is_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        prepare(batch, device, non_blocking=is_gpu)
        if is_gpu:
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() - start) / BATCH)
    return statistics.median(seconds[2:] if is_gpu else seconds)  # a GPU starts slowly


WAYS: dict[str, tuple[str, Any]] = {
    "former": ("former: float32 and windows, in this process", (former_loader, {"processes": 0})),
    "former_process": ("former, 1 worker process", (former_loader, {"processes": 1})),
    "present": ("present: as stored, in this process", (present_loader, {})),
    "present_thread": ("present, 1 thread", (present_loader, {"threads": 1})),
    "present_process": ("present, 1 worker process", (present_loader, {"processes": 1})),
}


def cpu_seconds() -> float:
    both = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def measure_here(way: str, folder: Path, *, repeats: int) -> None:
    import torch

    torch.set_num_threads(1)
    make, options = WAYS[way][1]
    for _ in make(folder, repeats=1, **options):  # files into the cache, code paths warm
        pass
    count = len(items_in(folder)) * repeats
    start = cpu_seconds(), time.perf_counter()
    for _ in make(folder, repeats=repeats, **options):
        pass
    found = {"cpu": (cpu_seconds() - start[0]) / count}
    print(json.dumps(found | {"clock": (time.perf_counter() - start[1]) / count}))


def measure(way: str, folder: Path, repeats: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--way", way, "--exams", str(folder)]
    command += ["--repeats", str(repeats)]
    environment = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def show_padding(datalist: Path | None) -> None:
    import torch
    from torch.utils.data import RandomSampler

    from petct_ext.scan.data.datalist import load_datalist
    from petct_ext.scan.data.samplers import LengthBatchSampler, exam_lengths, padding_share

    if datalist is None:
        lengths = np.random.default_rng(0).integers(70, 311, 1000).tolist()
    else:
        lengths = exam_lengths(load_datalist(datalist, "training", ()))
    for batch_size in (2, 8):
        shares = []
        for bucketing in (False, True):
            generator = torch.Generator().manual_seed(0)
            draws = RandomSampler(lengths, True, num_samples=2000, generator=generator)
            batches = LengthBatchSampler(draws, lengths, batch_size=batch_size, bucketing=bucketing)
            shares.append(100 * padding_share(batches, lengths))
        print(
            f"padding, batches of {batch_size}, {min(lengths)} to {max(lengths)} slices: "
            f"{shares[0]:.1f} % at random, {shares[1]:.1f} % with batches of similar length"
        )


def main(arguments: argparse.Namespace) -> None:
    if arguments.way:
        measure_here(arguments.way, arguments.exams, repeats=arguments.repeats)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_exams(Path(folder), count=2, num_slices=arguments.slices)
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        turns = [way for _ in range(arguments.rounds) for way in WAYS]
        for way in progress(turns, "measuring"):
            found[way].append(measure(way, Path(folder), arguments.repeats))
        on_device = device_seconds(Path(folder))
    titles = ("CPU s", "clock s", "exams/CPU s", "x former")
    print(f"{'per exam':48s}" + "".join(f"{title:>13s}" for title in titles))
    base = statistics.median(r["cpu"] for r in found["former"])
    for way, runs in found.items():
        cpu, clock = (statistics.median(r[kind] for r in runs) for kind in ("cpu", "clock"))
        cells = (f"{cpu:.4f}", f"{clock:.4f}", f"{1 / cpu:.1f}", f"{base / cpu:.1f}")
        print(f"{WAYS[way][0]:48s}" + "".join(f"{cell:>13s}" for cell in cells))
    print(f"on the device, windows and augmentation: {on_device:.4f} s (clock) per exam")
    show_padding(arguments.datalist)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="processes per way")
    parser.add_argument("--repeats", type=int, default=4, help="times that two exams are read")
    parser.add_argument("--slices", type=int, default=208)
    parser.add_argument("--datalist", type=Path, help="lengths for padding; default: 70 to 310")
    parser.add_argument("--way", choices=sorted(WAYS), help="measure one way in this process")
    parser.add_argument("--exams", type=Path)
    run(main, parser)
