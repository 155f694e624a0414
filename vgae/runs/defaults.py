"""Default fractions of the links that are held out."""

VAL, TEST = 0.05, 0.10
