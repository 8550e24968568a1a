"""Statistics of predictions: arrays and tables in, tables out."""
