"""Anatomical regions and how they nest.

The ontology is a directed acyclic graph. Each region lists the regions that directly
contain it (``within``); a region may lie within several, e.g. the hilar lymph nodes
lie within both the chest and the lymph nodes. An abnormal region makes every region
around it abnormal; that rule is applied in ``petct_ext.labels``, this module only
answers questions about structure.

This is the lowest layer of petct_ext. It imports neither torch nor monai.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from petct_ext.errors import OntologyError, UnknownRegionError, did_you_mean
from petct_ext.files import read_json

__all__ = ["REGIONS_FILE", "Region", "RegionOntology", "load_ontology"]

REGIONS_FILE = Path(str(files("petct_ext.ontology") / "regions.json")).resolve()
"""The regions that come with the package."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Region:
    """One anatomical region.

    Attributes:
        name: identifier in lower snake case. It is at once the column name in label
            tables, the output name of the scan model and the key in JSON files.
        within: names of the regions that directly contain this one. Empty for a root.
        patterns: regular expressions that name the region in report text. They are
            matched case-insensitively and between word boundaries.
        title: how the region is written in tables and figures; the name if empty.
        synonyms: other words for it, for people; not matched.
        main: whether the scan model has an output for it.
    """

    name: str
    within: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    title: str = ""
    synonyms: tuple[str, ...] = ()
    main: bool = False


class RegionOntology(Mapping[str, Region]):
    """An immutable, validated collection of regions.

    Iteration runs from the outside in: every region comes after the regions that
    contain it, and regions that are not ordered by containment keep the order in which
    they were given. Two processes that read the same file therefore agree on the order
    of network outputs and table columns.

    Args:
        regions: the regions, in any order.
        source: where they came from; used at the start of error messages.
        path: the file that they were read from, if any.

    Raises:
        OntologyError: if a name repeats or is not lower snake case, if a container is
            not defined, if containment has a cycle, or if a pattern does not compile.

    Example:
        >>> ontology = RegionOntology(
        ...     [Region("liver", ("abdomen",), ("liver", "hepatic")), Region("abdomen")]
        ... )
        >>> list(ontology)
        ['abdomen', 'liver']
        >>> sorted(ontology.containers("liver"))
        ['abdomen']
    """

    def __init__(
        self, regions: Iterable[Region], *, source: str = "regions", path: Path | None = None
    ) -> None:
        given: dict[str, Region] = {}
        for region in regions:
            if not _NAME.fullmatch(region.name):
                raise OntologyError(f"{source}: {region.name!r} is not a lower snake case name.")
            if region.name in given:
                raise OntologyError(f"{source}: region {region.name!r} is defined twice.")
            given[region.name] = region

        self.source = source
        self.path = path
        self._given = given
        self._patterns = {name: _compile(region, source) for name, region in given.items()}
        self._regions = {name: given[name] for name in _outside_in(given, source)}
        self._containers: dict[str, frozenset[str]] = {}
        for name, region in self._regions.items():
            direct = set(region.within)
            self._containers[name] = frozenset(direct.union(*(self._containers[c] for c in direct)))

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Reads an ontology from a JSON file.

        Args:
            path: a file of the form ``{"regions": [{"name": ..., "title": ...,
                "within": [...], "main": true, "synonyms": [...], "patterns": [...]}, ...]}``;
                all but ``name`` may be left out. Other top-level keys, such as ``"source"``,
                are for people and are ignored.

        Raises:
            InputDataError: if the file is missing or no JSON.
            OntologyError: if a region has an unexpected key or a value of the wrong type, or for
                any reason listed in the class description.
        """
        path = Path(path)
        if not path.is_file():
            fault = "is a folder" if path.is_dir() else "does not exist"
            raise OntologyError(f"{path} {fault}; give a regions.json.")
        document = read_json(path)
        if not isinstance(document, dict) or not isinstance(document.get("regions"), list):
            raise OntologyError(f"{path.name}: it has no list 'regions'; give a regions.json.")
        regions = [_region(entry, path.name) for entry in document["regions"]]
        return cls(regions, source=path.name, path=path.resolve())

    @classmethod
    @cache
    def default(cls) -> Self:
        """Returns the ontology that ships with the package."""
        return cls.from_json(REGIONS_FILE)

    def __getitem__(self, name: str) -> Region:
        try:
            return self._regions[name]
        except KeyError:
            hint = did_you_mean(str(name), self._regions)
            raise UnknownRegionError(f"{self.source} has no region {name!r}.{hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._regions  # asked often: does not look for what else might be meant

    def __iter__(self) -> Iterator[str]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} regions from {self.source})"

    def containers(self, name: str) -> frozenset[str]:
        """Returns every region around ``name``, direct or not, without ``name`` itself."""
        return self._containers[self[name].name]

    def parts(self, name: str) -> frozenset[str]:
        """Returns every region inside ``name``, direct or not, without ``name`` itself."""
        name = self[name].name
        return frozenset(other for other, around in self._containers.items() if name in around)

    def outermost(self) -> frozenset[str]:
        """Returns the regions that no other contains: the whole body."""
        return frozenset(name for name, region in self._given.items() if not region.within)

    @property
    def is_packaged(self) -> bool:
        """Whether these are the regions that come with the package."""
        return self.path in (None, REGIONS_FILE)

    def main_regions(self) -> tuple[str, ...]:
        """Returns the outputs of the scan model (26 of the package's 94), in file order."""
        return tuple(name for name, region in self._given.items() if region.main)

    def title(self, name: str) -> str:
        """Returns how ``name`` is written in tables and figures."""
        return self[name].title or self[name].name

    def in_words(self, task: str) -> str:
        """Returns how a task is written for people: the region's title, or its name in words.

        Example:
            >>> ontology = RegionOntology.default()
            >>> ontology.in_words("left_lungs"), ontology.in_words("dead_within_180_days")
            ('left lung', 'dead within 180 days')
        """
        return self.title(task) if task in self else task.replace("_", " ")

    def patterns(self, name: str) -> tuple[re.Pattern[str], ...]:
        """Returns the compiled patterns of ``name``, in the order of the file."""
        return self._patterns[self[name].name]


def load_ontology(path: str | Path | None) -> RegionOntology:
    """Reads the ``regions.json`` of a configuration; None is the package's.

    Raises:
        InputDataError: as :meth:`RegionOntology.from_json`.
    """
    return RegionOntology.default() if path is None else RegionOntology.from_json(path)


def _region(entry: Any, source: str) -> Region:
    """Returns the region of an entry of a file; refuses keys and types that it cannot have."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise OntologyError(f"{source}: the entry {str(entry)[:80]} has no name; add 'name'.")
    name, allowed = entry["name"], {field.name for field in fields(Region)}
    if unexpected := entry.keys() - allowed:
        raise OntologyError(
            f"{source}: region {name!r} has the unexpected keys {sorted(unexpected)}; allowed are "
            f"{sorted(allowed)}."
        )
    kinds = {"title": str, "main": bool}
    for key, value in entry.items():
        texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
        if not (isinstance(value, kinds[key]) if key in kinds else texts or key == "name"):
            kind = {"title": "a text", "main": "true or false"}.get(key, "a list of texts")
            raise OntologyError(
                f"{source}: {key!r} of region {name!r} is {json.dumps(value)}; give {kind}."
            )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    return Region(**values)


def _compile(region: Region, source: str) -> tuple[re.Pattern[str], ...]:
    compiled = []
    for pattern in region.patterns:
        try:
            compiled.append(re.compile(rf"\b(?:{pattern})\b", flags=re.IGNORECASE))
        except re.error as error:
            raise OntologyError(
                f"{source}: pattern {pattern!r} of region {region.name!r} does not compile: "
                f"{error}."
            ) from error
    return tuple(compiled)


def _outside_in(regions: Mapping[str, Region], source: str) -> list[str]:
    """Orders names so that containers precede their parts; ties keep the given order."""
    for region in regions.values():
        for container in region.within:
            if container not in regions:
                raise OntologyError(
                    f"{source}: region {region.name!r} lies within {container!r}, which is not "
                    f"defined.{did_you_mean(container, regions)}"
                )
    sorter = TopologicalSorter({name: region.within for name, region in regions.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " within ".join(reversed(error.args[1]))
        raise OntologyError(f"{source}: containment has a cycle: {cycle}.") from error
    rank = {name: i for i, name in enumerate(regions)}
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=rank.__getitem__)
        order.extend(ready)
        sorter.done(*ready)
    return order
