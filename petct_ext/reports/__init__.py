"""From the text of a report to mentions of regions."""
