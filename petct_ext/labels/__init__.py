"""From mentions to weak labels of an exam, and how they agree with a reader."""
