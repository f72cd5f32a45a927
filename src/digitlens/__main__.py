"""Runs the command line as ``python -m digitlens``."""

from digitlens.cli import main

if __name__ == "__main__":
    main()
