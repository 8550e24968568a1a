"""Starts :mod:`petct_ext.commands.rebuild_labeler`; ``--help`` tells what it does."""

from petct_ext.commands.rebuild_labeler import main

if __name__ == "__main__":
    main()
