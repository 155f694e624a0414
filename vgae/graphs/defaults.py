"""Default fractions of the links that are held out, for modules that do not import torch."""

VAL_FRACTION, TEST_FRACTION = 0.05, 0.10
