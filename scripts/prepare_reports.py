"""Starts :mod:`petct_ext.commands.prepare_reports`; ``--help`` tells what it does."""

from petct_ext.commands.prepare_reports import main

if __name__ == "__main__":
    main()
