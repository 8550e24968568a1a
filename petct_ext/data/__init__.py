"""Tables, splits and datalists: the files that connect the steps and the bundles."""

from petct_ext.data.collate import pad_slices
from petct_ext.data.datalist import load_datalist
from petct_ext.data.schemas import read_table, write_table
from petct_ext.data.splits import split_by_patient

__all__ = ["load_datalist", "pad_slices", "read_table", "split_by_patient", "write_table"]
