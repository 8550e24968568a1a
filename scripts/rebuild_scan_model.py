"""Starts :mod:`petct_ext.commands.rebuild_scan_model`; ``--help`` tells what it does."""

from petct_ext.commands.rebuild_scan_model import main

if __name__ == "__main__":
    main()
