"""The regions of the package, for tests of functions that take an ontology."""

from petct_ext.ontology import RegionOntology

ONTOLOGY = RegionOntology.default()
