"""Starts :mod:`petct_ext.commands.make_synthetic_data`; ``--help`` tells what it does."""

from petct_ext.commands.make_synthetic_data import main

if __name__ == "__main__":
    main()
