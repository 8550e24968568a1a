"""Starts :mod:`petct_ext.commands.make_datalist`; ``--help`` tells what it does."""

from petct_ext.commands.make_datalist import main

if __name__ == "__main__":
    main()
