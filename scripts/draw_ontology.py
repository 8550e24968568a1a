"""Starts :mod:`petct_ext.commands.draw_ontology`; ``--help`` tells what it does."""

from petct_ext.commands.draw_ontology import main

if __name__ == "__main__":
    main()
