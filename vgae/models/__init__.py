"""Named models: construction from recipes, storage, embeddings."""
