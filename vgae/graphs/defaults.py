"""Options of graphs that need no library, and fractions of links that are held out by default."""

from typing import Literal

Merge = Literal["mean", "sum", "max", "first"]
Directed = Literal["symmetrize", "error", "keep"]
Task = Literal["general", "biased", "bidirectional"]
MissingFeatures = Literal["refuse", "zero", "mean"]

VAL_FRACTION, TEST_FRACTION = 0.05, 0.10
