"""python -m vgae: the command line."""

from vgae.cli.app import main

if __name__ == "__main__":
    main()
