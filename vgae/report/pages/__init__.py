"""Pages about runs: HTML in one file."""
