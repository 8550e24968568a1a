"""Starts :mod:`petct_ext.commands.export_model`; ``--help`` tells what it does."""

if __name__ == "__main__":  # worker processes import this file too, and need none of it
    from petct_ext.commands.export_model import main

    main()
