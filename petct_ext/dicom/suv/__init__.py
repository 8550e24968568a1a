"""Standardized uptake value by body weight (SUVbw), from headers, with an audit."""
