"""Datalists, samplers and batches of exams."""
