"""Starts :mod:`petct_ext.commands.analyze_survival`; ``--help`` tells what it does."""

from petct_ext.commands.analyze_survival import main

if __name__ == "__main__":
    main()
