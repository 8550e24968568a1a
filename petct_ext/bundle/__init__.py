"""What every bundle shares: its root, its settings, one source of its configuration."""
