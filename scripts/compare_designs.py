"""Starts :mod:`petct_ext.commands.compare_designs`; ``--help`` tells what it does."""

from petct_ext.commands.compare_designs import main

if __name__ == "__main__":
    main()
