"""Starts :mod:`petct_ext.commands.make_survival_table`; ``--help`` tells what it does."""

from petct_ext.commands.make_survival_table import main

if __name__ == "__main__":
    main()
