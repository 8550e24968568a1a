"""Starts :mod:`petct_ext.commands.evaluate_predictions`; ``--help`` tells what it does."""

from petct_ext.commands.evaluate_predictions import main

if __name__ == "__main__":
    main()
