"""Devices, random streams, progress, signals, and files that are read and written safely."""
