"""Starts :mod:`petct_ext.commands.compare_labelers`; ``--help`` tells what it does."""

from petct_ext.commands.compare_labelers import main

if __name__ == "__main__":
    main()
