"""Named models: built by a recipe, stored in folders, called on graphs and images."""
