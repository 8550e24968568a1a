"""Starts :mod:`petct_ext.commands.index_exams`; ``--help`` tells what it does."""

from petct_ext.commands.index_exams import main

if __name__ == "__main__":
    main()
