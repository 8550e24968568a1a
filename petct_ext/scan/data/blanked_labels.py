"""Labels of an exam whose head was blanked: what cannot be seen is unknown, whoever labeled it.

A report and a reader saw the original. The network does not, and must not learn that a body without
a head has a normal, or an abnormal, brain. Hand labels are treated as weak ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from petct_ext.ontology import RegionOntology

__all__ = ["without_blanked"]

_UNSEEN = ("head", "pharynx")
_CUT_THROUGH = ("cervical_lymph_node", "cervical_spine")  # and the neck, but not its lower parts
_NORMAL_UP_TO = 0.1
_ABNORMAL_FROM = 0.5


def without_blanked(
    labels: Mapping[str, float], ontology: RegionOntology, blanked: Sequence[str]
) -> dict[str, float | None]:
    """Returns the labels with None for regions that cannot be seen.

    The head, the pharynx and all their parts are unknown, for a blanked face too: how far a cut
    reaches differs. A region around them, such as ``head_neck``, and one that is cut through, such
    as ``neck``, keeps its label if it is normal, since then what can be seen of it is normal, or if
    a part of it that can be seen is abnormal as well. Else what is abnormal may be what is gone,
    and it is unknown. A label that is no region, such as a summary code, is of the whole exam and
    kept.

    Args:
        labels: probabilities by region.
        ontology: how regions nest.
        blanked: ``blanked`` of ``exam.json``; empty leaves all as it is.

    Example:
        >>> ontology = RegionOntology.default()
        >>> labels = {"brain": 0.0, "head_neck": 0.9, "liver": 0.8}
        >>> without_blanked(labels, ontology, ["head"])
        {'brain': None, 'head_neck': None, 'liver': 0.8}
    """
    if not blanked:
        return dict(labels)
    unseen = _with_parts(_UNSEEN, ontology)
    hidden = unseen | _with_parts(_CUT_THROUGH, ontology) | {"neck"}
    around = frozenset().union(*(ontology.containers(name) for name in unseen))
    found: dict[str, float | None] = {}
    for region, label in labels.items():
        if region in unseen:
            found[region] = None
        elif region in around or region in hidden:
            seen = ontology.parts(region) - hidden
            most = max((labels[part] for part in seen if part in labels), default=0.0)
            is_known = label - most <= _NORMAL_UP_TO or most >= _ABNORMAL_FROM
            found[region] = label if is_known else None
        else:
            found[region] = label
    return found


def _with_parts(names: Sequence[str], ontology: RegionOntology) -> frozenset[str]:
    known = [name for name in names if name in ontology]
    return frozenset(known).union(*(ontology.parts(name) for name in known))
