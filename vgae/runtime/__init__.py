"""Devices, random streams, progress, signals, and safe reading and writing of files."""
