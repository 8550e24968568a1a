"""Artificial patients with known truth: scans, reports and follow-up, for tests and the demo.

:func:`petct_ext.synthetic.cohort.write_cohort` writes a whole study. Nothing in it describes a
human being, and nothing measured on it is evidence about patients.
"""
