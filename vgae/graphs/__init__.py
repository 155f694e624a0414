"""Graphs: canonical form, conversion from and to other libraries, audited link splits."""
