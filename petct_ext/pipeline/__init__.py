"""Steps, plans of trainings, and running many of them."""
