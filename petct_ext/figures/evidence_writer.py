"""Pictures of what a network goes by, in TensorBoard, while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import nibabel as nib
import numpy as np
import torch
from ignite.engine import Events
from monai.utils import convert_to_tensor
from nibabel.affines import voxel_sizes
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from petct_ext.figures.overlays import ShownRegion, overlay_figure
from petct_ext.keys import CT, EXAM_ID, IMAGE, LABEL, PET
from petct_ext.ontology import RegionOntology
from petct_ext.scan.interpretation.maps import evidence_map
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.scan.transforms.volumes import ToPhysicalUnitsd

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["EvidenceWriter"]

_DPI: Final = 70


class EvidenceWriter:
    """Ignite handler that draws a few exams with their evidence after each validation.

    Always the same exams, so that one can see the network learn: the first ones of the data set
    with an abnormal label. Each shows the regions that the network is surest of. It belongs to the
    evaluator. As a picture of exams it stands here, not among the handlers, which come earlier in
    the order of imports.

    Args:
        network: the one that is trained.
        dataset: MONAI data set of volumes as stored; its ``data`` holds their paths and labels.
        transforms: from an item to ``image``, as validation uses them.
        regions: names of the outputs.
        ontology: tells titles, and which region is the whole body.
        log_dir: folder of TensorBoard.
        device: where the network is.
        num_exams: how many exams; 0 draws nothing.
        num_regions: regions per exam.
    """

    def __init__(
        self,
        network: RegionClassifier,
        dataset: Any,
        transforms: Callable[[dict[str, Any]], Any],
        *,
        regions: Sequence[str],
        ontology: RegionOntology,
        log_dir: str,
        device: torch.device | str = "cpu",
        num_exams: int = 2,
        num_regions: int = 2,
    ) -> None:
        self.network = network
        self.dataset = dataset
        self.transforms = transforms
        self.regions = list(regions)
        self.ontology = ontology
        self.log_dir = log_dir
        self.device = device
        self.num_regions = num_regions
        self.exams = _first_abnormal(dataset.data, num_exams)

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``val_handlers``."""
        if self.exams:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Draws the exams; the picture's step is the epoch."""
        was_training = self.network.training
        self.network.eval()
        with SummaryWriter(self.log_dir) as writer:
            for index in self.exams:
                figure = self._draw(index)
                name = f"evidence/{self.dataset.data[index][EXAM_ID]}"
                writer.add_figure(name, figure, engine.state.epoch)
        self.network.train(was_training)

    def _draw(self, index: int) -> Any:
        item, source = self.dataset[index], self.dataset.data[index]
        moved = {k: v.to(self.device) if isinstance(v, Tensor) else v for k, v in item.items()}
        image = convert_to_tensor(self.transforms(moved)[IMAGE], track_meta=False)[None]
        with torch.inference_mode():
            probabilities = self.network(image)[0].sigmoid().cpu()
            added = self.network.contributions(image)[0].float().cpu()
        size: Any = tuple(image.shape[2:])
        strides, center = self.network.encoder.strides, self.network.first_center(size)
        maps = evidence_map(added, size, strides=strides, first_center=center).numpy()
        labels = np.asarray(source[LABEL], dtype=np.float64)
        findings = [
            ShownRegion(
                self._title(self.regions[i]), float(probabilities[i]), float(labels[i]), maps[i]
            )
            for i in self._surest(probabilities)
        ]
        volumes = ToPhysicalUnitsd((PET, CT))(item)
        dx, dy, dz = map(float, voxel_sizes(nib.as_closest_canonical(nib.load(source[PET])).affine))
        figure = overlay_figure(
            volumes[PET][0].numpy(),
            volumes[CT][0].numpy(),
            findings,
            spacing_mm=(dx, dy, dz),
            caption="color shows what spoke for the region, not a lesion outline; research only",
        )
        figure.set_dpi(_DPI)
        return figure

    def _surest(self, probabilities: Tensor) -> list[int]:
        order: list[int] = probabilities.argsort(descending=True).tolist()
        whole = self.ontology.outermost()
        shown = [i for i in order if self.regions[i] not in whole or len(self.regions) == 1]
        return shown[: self.num_regions]

    def _title(self, region: str) -> str:
        return self.ontology.title(region) if region in self.ontology else region


def _first_abnormal(items: Sequence[Any], count: int) -> list[int]:
    labels = [np.nan_to_num(np.asarray(item[LABEL], dtype=np.float64)) for item in items]
    # False sorts first; the sort keeps the order of the data set.
    order = sorted(range(len(items)), key=lambda i: not (labels[i] >= 0.5).any())
    return order[:count]
