"""PET in SUVbw and CT in HU on one grid, as volumes on disk."""
