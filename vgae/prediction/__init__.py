"""Proposed links and exported embeddings."""
