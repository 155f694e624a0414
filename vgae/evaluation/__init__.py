"""Scores: of logits and probabilities, of models on links and images, of embeddings."""
