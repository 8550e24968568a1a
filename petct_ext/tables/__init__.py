"""Tables through which steps meet: columns, types, reading and writing."""

from petct_ext.tables.contract import Column, Kind, Schema, read_table, write_csv, write_table

__all__ = ["Column", "Kind", "Schema", "read_table", "write_csv", "write_table"]
