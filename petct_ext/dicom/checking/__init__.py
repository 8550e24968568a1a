"""What is checked about an exam, in three states: anatomy, place, field of view, alignment."""
