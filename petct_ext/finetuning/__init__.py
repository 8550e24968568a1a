"""Fine-tuning of a finished run for single regions and for mortality."""
