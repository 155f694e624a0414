"""Data sets and files: what is on disk in, a ``Graph`` out."""
