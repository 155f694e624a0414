"""Figures of runs, and figures for papers."""
