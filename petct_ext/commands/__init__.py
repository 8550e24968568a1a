"""Commands: arguments and one call each; ``scripts/`` starts them."""
