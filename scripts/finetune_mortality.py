"""Starts :mod:`petct_ext.commands.finetune_mortality`; ``--help`` tells what it does."""

from petct_ext.commands.finetune_mortality import main

if __name__ == "__main__":
    main()
