"""Figures and HTML pages of runs."""
