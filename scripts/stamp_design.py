"""Starts :mod:`petct_ext.commands.stamp_design`; ``--help`` tells what it does."""

from petct_ext.commands.stamp_design import main

if __name__ == "__main__":
    main()
