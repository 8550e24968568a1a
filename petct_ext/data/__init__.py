"""Tables, splits and datalists: the files that connect the steps and the bundles.

Batches (``petct_ext.data.collate``) and samplers need torch and are imported by their full names,
so that steps which only read tables start at once.
"""

from petct_ext.data.datalist import load_datalist
from petct_ext.data.schemas import read_table, write_table
from petct_ext.data.splits import split_by_patient

__all__ = ["load_datalist", "read_table", "split_by_patient", "write_table"]
