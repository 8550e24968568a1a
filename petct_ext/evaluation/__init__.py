"""Predictions to tables, figures and the page of a run."""
