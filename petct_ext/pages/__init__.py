"""Pages about a cohort, a run and its results: data in Python, markup in ``templates/``."""
