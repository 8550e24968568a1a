"""Starts :mod:`petct_ext.commands.make_page`; ``--help`` tells what it does."""

from petct_ext.commands.make_page import main

if __name__ == "__main__":
    main()
