"""Starts :mod:`petct_ext.commands.draw_attention`; ``--help`` tells what it does."""

from petct_ext.commands.draw_attention import main

if __name__ == "__main__":
    main()
