"""Command line of ``python -m vgae``."""

from vgae.cli.app import main

if __name__ == "__main__":
    main()
