"""Starts :mod:`petct_ext.commands.make_splits`; ``--help`` tells what it does."""

from petct_ext.commands.make_splits import main

if __name__ == "__main__":
    main()
