"""Starts :mod:`petct_ext.commands.build_bundles`; ``--help`` tells what it does."""

from petct_ext.commands.build_bundles import main

if __name__ == "__main__":
    main()
