"""What a run of the whole pipeline is asked for, and the sizes that it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from petct_ext.errors import InputDataError
from petct_ext.files import write_json
from petct_ext.ontology import RegionOntology
from petct_ext.ontology.option import ontology_arguments

__all__ = ["PROFILES", "Profile", "RunPlan", "require_cohort"]


class Profile(NamedTuple):
    """What the demonstration changes: sizes only. Code and configurations are the same."""

    prepare: list[str]
    pictures: str
    fractions: list[str]
    bootstrap: str
    penalizer: str
    fit_splits: list[str]
    is_demo: bool


PROFILES: Final = {
    "full": Profile([], "200", ["0.7", "0.1", "0.2"], "2000", "0", ["validation"], is_demo=False),
    "demo": Profile(
        ["--in-plane", "48", "--slice-mm", "13"],
        "12",
        ["0.62", "0.12", "0.26"],
        "1000",
        "0.1",
        ["training", "validation"],  # the validation split alone holds a handful of deaths
        is_demo=True,
    ),
}
"""Sizes by name."""


class RunPlan(NamedTuple):
    """What the user asked for.

    Attributes:
        data: folder of the cohort.
        work: the work folder.
        profile: sizes.
        is_phantom: whether the cohort is artificial and made first.
        labeler: "model" or "rules".
        patients: of the artificial cohort.
        seed: of everything random.
        workers: processes.
        ontology: the regions.
        several_reports: what becomes of several reports of one exam.
        index_options: further options of the index.
        prepare_tables: tables for the preparation, by option.
    """

    data: Path
    work: Path
    profile: Profile
    is_phantom: bool
    labeler: str
    patients: int
    seed: int
    workers: int
    ontology: RegionOntology
    several_reports: str = "join"
    index_options: tuple[str, ...] = ()
    prepare_tables: Mapping[str, Path] = MappingProxyType({})

    @property
    def regions(self) -> tuple[Path, ...]:
        """The file of the regions, an input of the steps that read it."""
        return (self.ontology.path,) if self.ontology.path else ()

    @property
    def ontology_option(self) -> tuple[str, ...]:
        """The option that hands the regions to a command."""
        return ontology_arguments(self.ontology)

    @property
    def training_configs(self) -> list[str]:
        """Configuration files of a training, at the size of the profile."""
        return ["train.json", "demo.json"] if self.profile.is_demo else ["train.json"]

    def network_outputs(self) -> list[str]:
        """Writes which regions the scan model learns, if they are not the package's.

        Returns:
            A configuration file to put on top of the bundle's; nothing without ``--ontology``.
        """
        if self.ontology.is_packaged:
            return []
        document = {
            "_desc_": "Written by scripts/run_pipeline.py from the regions of --ontology.",
            "ontology": str(self.ontology.path),
            "regions": list(self.ontology.main_regions()),
        }
        return [str(write_json(self.work / "scan_model" / "regions.json", document))]

    def hand_labels(self) -> list[str]:
        """Returns the options that score against a reader's labels, if there are any."""
        if not self.is_phantom and not (self.data / "hand_labels.csv").is_file():
            return []
        identifiers = self.work / "private" / "identifiers.csv"
        return ["--hand-labels", f"{self.data}/hand_labels.csv", "--identifiers", str(identifiers)]


def require_cohort(plan: RunPlan) -> None:
    """Looks at the door for what a later step would miss.

    Raises:
        InputDataError: names the file that the cohort lacks.
    """
    if not plan.data.is_dir():
        raise InputDataError(f"{plan.data} is not a folder; it should hold dicom/ and reports.csv.")
    if not (plan.data / "dicom").exists() and not (plan.data / "nifti_pairs.csv").exists():
        raise InputDataError(
            f"{plan.data} lacks dicom (or nifti_pairs.csv); README.md tells the form of a cohort."
        )
    if not (plan.data / "reports.csv").exists():
        raise InputDataError(
            f"{plan.data} lacks reports.csv; README.md tells the form of a cohort."
        )
    if plan.labeler == "model" and not (plan.data / "annotations.csv").exists():
        raise InputDataError(
            f"{plan.data} lacks annotations.csv, from which the report labeler learns; judge some "
            "200 mentions (README.md), or add --labeler rules to start with rules alone."
        )
