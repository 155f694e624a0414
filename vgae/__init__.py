"""Variational graph auto-encoders."""
