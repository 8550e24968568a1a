"""Artificial patients with known truth: scans, reports and follow-up, for tests and the demo."""
