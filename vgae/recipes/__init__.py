"""Named settings: plain frozen values that print as TOML."""

from vgae.recipes.graphs import (
    BEST,
    BEST_DENSE,
    BEST_LINKS,
    PAPER,
    RECIPES,
    Recipe,
    for_graph,
    recipe_named,
)

__all__ = [
    "BEST",
    "BEST_DENSE",
    "BEST_LINKS",
    "PAPER",
    "RECIPES",
    "Recipe",
    "for_graph",
    "recipe_named",
]
