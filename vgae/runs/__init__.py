"""Run folders: train, resume, load and compare."""
