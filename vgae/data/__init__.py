"""Readers and writers of graphs and images: data sets of the catalogue, and files."""
