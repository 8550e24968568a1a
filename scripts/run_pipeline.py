"""Starts :mod:`petct_ext.commands.run_pipeline`; ``--help`` tells what it does."""

from petct_ext.commands.run_pipeline import main

if __name__ == "__main__":
    main()
