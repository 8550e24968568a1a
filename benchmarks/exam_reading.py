"""Times one exam from DICOM to a volume, and back from the prepared volume, side by side.

The exam is artificial: 210 CT slices of 512 x 512 and 210 PET slices of 128 x 128, uncompressed,
unless sizes are given. With --before every way of petct_ext runs a second time, in turn, with the
package of another checkout of this repository. Every way runs in a process of its own, on one
thread, in turn for several rounds. Seconds are medians of CPU time, which other work on the machine
disturbs least, and of time on the clock; memory is the peak above what is in use after the imports,
and the peak resident memory of the process with interpreter and libraries. OpenCV (the authors'
way), ITK (MONAI's stock reader) and SimpleITK are left out where they are not installed:
pip install opencv-python-headless itk SimpleITK

Example:
    python benchmarks/exam_reading.py --rounds 3
    git worktree add /tmp/before HEAD~1
    python benchmarks/exam_reading.py --slices 441 --pet-slices 545 --pet-side 168 --ways index
        prepare ours_written --before /tmp/before
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from petct_ext.cli import new_parser, progress, run

SIDE, FIELD_MM = 224, 500.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Read = Callable[[], Any]


def make_exam(folder: Path, *, ct_slices: int, pet_slices: int, pet_side: int) -> None:
    from petct_ext.synthetic.diseases import sample_patients
    from petct_ext.synthetic.phantoms.dicom_encoding import new_study
    from petct_ext.synthetic.phantoms.dicom_files import write_ct_series, write_pet_series
    from petct_ext.synthetic.phantoms.images import VoxelGrid

    rng = np.random.default_rng(0)
    patient = sample_patients(1, seed=0)[0]
    study = new_study(patient, patient.exams[0], seed=0)
    length_mm = 3.27 * min(ct_slices, pet_slices)
    for kind, size, mm, num_slices in (
        ("ct", 512, 0.9765625, ct_slices),
        ("pet", pet_side, 700 / pet_side, pet_slices),
    ):
        corner = -(size - 1) * mm / 2
        spacing = (mm, mm, length_mm / num_slices)
        grid = VoxelGrid((size, size, num_slices), spacing, (corner, corner, 0.0))
        x = np.linspace(-1, 1, size, dtype=np.float32)
        body = (x[:, None] / 0.7) ** 2 + (x[None] / 0.5) ** 2 < 1
        values = rng.standard_normal(grid.shape, dtype=np.float32)
        if kind == "ct":
            values *= 10
            values += np.where(body[..., None], np.float32(40), np.float32(-1000))
            write_ct_series(folder / kind, values, grid=grid, study=study)
        else:
            values = np.abs(values) / 10 + np.where(body[..., None], np.float32(2), np.float32(0))
            write_pet_series(folder / kind, values, grid=grid, study=study)


def files_of(exam: Path) -> tuple[list[Path], list[Path]]:
    pet, ct = (sorted((exam / kind).rglob("*.dcm")) for kind in ("pet", "ct"))
    return pet, ct


# Each way returns a function that reads the exam once; its imports happen before the clock starts.


def index(exam: Path, scratch: Path) -> Read:
    from petct_ext.cohort.index import index_exams

    works = (scratch / f"work{number}" for number in range(100))
    return lambda: index_exams(exam, next(works), salt="a secret of the benchmark")


def prepare(exam: Path, scratch: Path) -> Read:
    """As the command does it for a cohort of one exam, in this process."""
    from petct_ext.cohort.index import index_exams
    from petct_ext.cohort.preparation import prepare_exams

    work = scratch / "cohort"
    index_exams(exam, work, salt="a secret of the benchmark")

    def read() -> object:
        shutil.rmtree(work / "volumes", ignore_errors=True)
        return prepare_exams(work, grid=reading().GridChoice(SIDE, FIELD_MM), workers=0)

    return read


def reading() -> Any:
    """Returns the module that reads an exam; an earlier checkout has it under another name."""
    name = "exam_reading" if find_spec("petct_ext.dicom.volumes.exam_reading") else "conversion"
    return import_module(f"petct_ext.dicom.volumes.{name}")


def ours(exam: Path, scratch: Path) -> Read:
    module = reading()
    pet, ct = files_of(exam)
    how = module.Preparation(module.GridChoice(SIDE, FIELD_MM))
    return lambda: module.read_exam(pet, ct, how=how)


def ours_written(exam: Path, scratch: Path) -> Read:
    from petct_ext.dicom.volumes.conversion import convert_exam

    module = reading()
    pet, ct = files_of(exam)
    how = module.Preparation(module.GridChoice(SIDE, FIELD_MM))
    return lambda: convert_exam(pet, ct, scratch / "volumes", how=how)


def authors(exam: Path, scratch: Path) -> Read:
    """Slices in the order of their files, each resized on its own, the longer series cut."""
    import cv2
    import pydicom

    cv2.setNumThreads(1)

    def read() -> np.ndarray:
        series = []
        for files in files_of(exam):
            slices = [pydicom.dcmread(path) for path in files]
            slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
            planes = [
                cv2.resize(
                    s.pixel_array.astype(np.float32) * float(s.RescaleSlope)
                    + float(s.RescaleIntercept),
                    (SIDE, SIDE),
                )
                for s in slices
            ]
            series.append(np.stack(planes))
        length = min(map(len, series))
        return np.stack([volume[:length] for volume in series])

    return read


def monai_itk(exam: Path, scratch: Path) -> Read:
    return _monai("ITKReader", exam)


def monai_pydicom(exam: Path, scratch: Path) -> Read:
    return _monai("PydicomReader", exam)


def _monai(reader: str, exam: Path) -> Read:
    import torch
    from monai.transforms import (
        Compose,
        EnsureChannelFirstd,
        LoadImaged,
        Orientationd,
        ResizeWithPadOrCropd,
        Spacingd,
    )

    torch.set_num_threads(1)
    keys, mm = ["pet", "ct"], FIELD_MM / SIDE
    load = Compose(
        [
            LoadImaged(keys, reader=reader),
            EnsureChannelFirstd(keys),
            Orientationd(keys, axcodes="RAS", labels=None),
            Spacingd(keys, pixdim=(mm, mm, 3.27), mode="bilinear"),
            ResizeWithPadOrCropd(keys, (SIDE, SIDE, -1)),
        ]
    )
    pet, ct = files_of(exam)
    return lambda: load({"pet": pet[0].parent, "ct": ct[0].parent})


def simple_itk(exam: Path, scratch: Path) -> Read:
    import SimpleITK as sitk  # noqa: N813 - its own documentation writes it so

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def read() -> list[np.ndarray]:
        images = []
        for files in files_of(exam):
            reader = sitk.ImageSeriesReader()
            names = reader.GetGDCMSeriesFileNames(str(files[0].parent))
            reader.SetFileNames(names)
            reader.SetOutputPixelType(sitk.sitkFloat32)
            images.append(reader.Execute())
        mm = FIELD_MM / SIDE
        resampler = sitk.ResampleImageFilter()
        resampler.SetInterpolator(sitk.sitkLinear)
        resampler.SetSize((SIDE, SIDE, images[0].GetSize()[2]))
        resampler.SetOutputSpacing((mm, mm, images[0].GetSpacing()[2]))
        corner = -(SIDE - 1) * mm / 2
        resampler.SetOutputOrigin((corner, corner, images[0].GetOrigin()[2]))
        return [sitk.GetArrayFromImage(resampler.Execute(image)) for image in images]

    return read


def back_stored(exam: Path, scratch: Path) -> Read:
    """As stored, 16-bit, copied out of the mapped files: scaled later, on the GPU."""
    import nibabel as nib

    folder = _prepared(exam, scratch)

    def read() -> list[np.ndarray]:
        images = [nib.Nifti1Image.from_filename(folder / f"{k}.nii") for k in ("pet", "ct")]
        return [np.array(image.dataobj.get_unscaled()) for image in images]

    return read


def back_monai(exam: Path, scratch: Path) -> Read:
    """Through MONAI's LoadImaged, in SUV and HU, float32."""
    import torch
    from monai.transforms import LoadImaged

    torch.set_num_threads(1)
    folder = _prepared(exam, scratch)
    load = LoadImaged(["pet", "ct"], reader="NibabelReader", image_only=True)
    return lambda: load({k: folder / f"{k}.nii" for k in ("pet", "ct")})


def _prepared(exam: Path, scratch: Path) -> Path:
    folder = scratch / "volumes"
    if not (folder / "exam.json").is_file():
        ours_written(exam, scratch)()
    return folder


INDEX: dict[str, tuple[str, Any, str]] = {"index": ("index, headers only", index, "pydicom")}
PREPARE: dict[str, tuple[str, Any, str]] = {
    "prepare": ("prepare, a cohort of one", prepare, "pandas")
}
CONVERT: dict[str, tuple[str, Any, str]] = {
    "authors": ("authors: pydicom loop + OpenCV per slice *", authors, "cv2"),
    "ours": ("petct_ext: read + SUV + resample", ours, "pydicom"),
    "ours_written": ("petct_ext: the same, written with checksum", ours_written, "pydicom"),
    "simple_itk": ("SimpleITK series reader + resample", simple_itk, "SimpleITK"),
    "monai_itk": ("MONAI LoadImage (ITKReader) + Spacing", monai_itk, "itk"),
    "monai_pydicom": ("MONAI LoadImage (PydicomReader) + Spacing", monai_pydicom, "monai"),
}
BACK: dict[str, tuple[str, Any, str]] = {
    "back_stored": ("prepared volume, 16-bit as stored", back_stored, "nibabel"),
    "back_monai": ("prepared volume, MONAI LoadImage, float32", back_monai, "monai"),
}
WAYS = INDEX | PREPARE | CONVERT | BACK
OURS = ("index", "prepare", "ours", "ours_written")


def measure_here(name: str, exam: Path, scratch: Path, *, repeats: int) -> None:
    """Prints seconds of each repeat and the peak of memory, as JSON."""
    read = WAYS[name][1](exam, scratch)
    read()  # files into the cache, code paths warm
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before, cpu, clock = memory_mib("VmRSS"), [], []
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        result = read()
        cpu.append(time.process_time() - start[0])
        clock.append(time.perf_counter() - start[1])
        del result
    peak = memory_mib("VmHWM")
    print(json.dumps({"cpu": cpu, "clock": clock, "mib": peak - before, "peak": peak}))


def memory_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(
    name: str, exam: Path, scratch: Path, *, repeats: int, checkout: Path
) -> dict[str, Any]:
    command = [sys.executable, __file__, "--way", name, "--exam", str(exam)]
    command += ["--scratch", str(scratch), "--repeats", str(repeats)]
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["killed"])[-1][:100]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def show(found: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    def middle(key: tuple[str, str], kind: str = "cpu") -> float:
        runs = [r for r in found.get(key, []) if kind in r]
        return statistics.median(s for r in runs for s in r[kind]) if runs else float("nan")

    bases = middle(("authors", "")), middle(("monai_itk", ""))
    titles = ("CPU s", "clock s", "exams/CPU s", "x authors", "x MONAI ITK", "peak MiB", "resident")
    print(f"{'':52s}" + "".join(f"{title:>13s}" for title in titles))
    for (name, label), runs in found.items():
        title = f"{WAYS[name][0]}{label}"
        if errors := [r["error"] for r in runs if "error" in r]:
            print(f"{title:52s} {errors[0]}")
            continue
        seconds = middle((name, label))
        ratios = [f"{b / seconds:.2f}" if name in CONVERT and b == b else "" for b in bases]
        cells = (
            f"{seconds:.3f}",
            f"{middle((name, label), 'clock'):.3f}",
            f"{1 / seconds:.1f}",
            *ratios,
            *(f"{statistics.median(r[kind] for r in runs):.0f}" for kind in ("mib", "peak")),
        )
        print(f"{title:52s}" + "".join(f"{cell:>13s}" for cell in cells))
    print("* as published: no SUV, no common geometry; the two channels show different places")


def main(arguments: argparse.Namespace) -> None:
    if arguments.way:
        measure_here(arguments.way, arguments.exam, arguments.scratch, repeats=arguments.repeats)
        return
    here = Path(__file__).resolve().parents[1]
    checkouts = {"": here} | ({", before": arguments.before} if arguments.before else {})
    with tempfile.TemporaryDirectory() as folder:
        exam, scratch = Path(folder) / "exam", Path(folder) / "scratch"
        make_exam(
            exam,
            ct_slices=arguments.slices,
            pet_slices=arguments.pet_slices or arguments.slices,
            pet_side=arguments.pet_side,
        )
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for name, (title, _, package) in WAYS.items():
            if arguments.ways and name not in arguments.ways:
                continue
            if find_spec(package) is None:
                print(f"{title}: left out, {package} is not installed")
                continue
            found |= {(name, label): [] for label in checkouts if not label or name in OURS}
        turns = [key for _ in range(arguments.rounds) for key in found]
        for number, (name, label) in enumerate(progress(turns, "measuring")):
            own = scratch / (f"{number}" if name in INDEX | PREPARE else label.strip(", "))
            run_once = {"repeats": arguments.repeats, "checkout": checkouts[label]}
            found[name, label].append(measure(name, exam, own, **run_once))
    show(found)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="processes per way")
    parser.add_argument("--repeats", type=int, default=3, help="exams per process")
    parser.add_argument("--slices", type=int, default=210, help="of the CT")
    parser.add_argument("--pet-slices", type=int, help="if not as many")
    parser.add_argument("--pet-side", type=int, default=128, help="voxels along X and Y")
    parser.add_argument("--before", type=Path, help="another checkout of this repository")
    parser.add_argument("--ways", nargs="+", choices=sorted(WAYS), help="only these")
    parser.add_argument("--way", choices=sorted(WAYS), help="measure one way in this process")
    parser.add_argument("--exam", type=Path)
    parser.add_argument("--scratch", type=Path)
    run(main, parser)
