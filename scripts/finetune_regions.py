"""Starts :mod:`petct_ext.commands.finetune_regions`; ``--help`` tells what it does."""

from petct_ext.commands.finetune_regions import main

if __name__ == "__main__":
    main()
