"""The command line."""

from vgae.cli.app import main as main
