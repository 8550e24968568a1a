"""Starts :mod:`petct_ext.commands.prepare_exams`; ``--help`` tells what it does."""

from petct_ext.commands.prepare_exams import main

if __name__ == "__main__":
    main()
