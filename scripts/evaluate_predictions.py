"""Starts :mod:`petct_ext.commands.evaluate_predictions`; ``--help`` tells what it does."""

if __name__ == "__main__":  # worker processes import this file too, and need none of it
    from petct_ext.commands.evaluate_predictions import main

    main()
