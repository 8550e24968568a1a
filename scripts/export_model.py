"""Starts :mod:`petct_ext.commands.export_model`; ``--help`` tells what it does."""

from petct_ext.commands.export_model import main

if __name__ == "__main__":
    main()
