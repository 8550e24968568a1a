"""Slices to series: grouping, fitness, pairing of PET and CT, the reader."""
