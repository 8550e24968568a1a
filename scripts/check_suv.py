"""Starts :mod:`petct_ext.commands.check_suv`; ``--help`` tells what it does."""

from petct_ext.commands.check_suv import main

if __name__ == "__main__":
    main()
