"""Starts :mod:`petct_ext.commands.convert_annotations`; ``--help`` tells what it does."""

from petct_ext.commands.convert_annotations import main

if __name__ == "__main__":
    main()
