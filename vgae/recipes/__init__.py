"""Named settings: frozen values that print as TOML."""

from vgae.recipes.graphs import BEST as BEST
from vgae.recipes.graphs import BEST_DENSE as BEST_DENSE
from vgae.recipes.graphs import BEST_DIRECTED as BEST_DIRECTED
from vgae.recipes.graphs import BEST_GRAPHS as BEST_GRAPHS
from vgae.recipes.graphs import BEST_LINKS as BEST_LINKS
from vgae.recipes.graphs import BEST_LINKS_DENSE as BEST_LINKS_DENSE
from vgae.recipes.graphs import BEST_TWO_SIDED as BEST_TWO_SIDED
from vgae.recipes.graphs import DEFAULT as DEFAULT
from vgae.recipes.graphs import PAPER as PAPER
from vgae.recipes.graphs import PAPER_FEATURES as PAPER_FEATURES
from vgae.recipes.graphs import PAPER_GRAPHS as PAPER_GRAPHS
from vgae.recipes.graphs import RANKS as RANKS
from vgae.recipes.graphs import RECIPES as RECIPES
from vgae.recipes.graphs import Recipe as Recipe
from vgae.recipes.graphs import for_graph as for_graph
from vgae.recipes.graphs import recipe_named as recipe_named
