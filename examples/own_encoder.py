"""An encoder of your own, registered as a model: two methods beside ``forward``."""

from torch_geometric.nn import GATv2Conv

import vgae
from vgae.encoders import GraphEncoder
from vgae.models.registry import GraphModel, register_model
from vgae.recipes import PAPER
from vgae.testing import check_graph_model


class GATEncoder(GraphEncoder):
    def __init__(self, in_channels, hidden_channels=32, latent_channels=16, posterior=None):
        super().__init__(in_channels, latent_channels, posterior or vgae.DiagGaussian)
        self.hidden_channels = hidden_channels
        self.conv0 = GATv2Conv(in_channels, hidden_channels)
        self.conv1 = GATv2Conv(hidden_channels, self.posterior.num_heads * latent_channels)

    @classmethod
    def from_recipe(cls, recipe, in_channels, *, posterior, generator=None):
        return cls(in_channels, recipe.hidden_channels, recipe.latent_channels, posterior)

    def config(self):  # fields of the recipe that rebuild it
        return {"hidden_channels": self.hidden_channels, "latent_channels": self.latent_channels}

    def forward(self, x, edge_index, edge_weight=None):
        h = self.conv0(self.scaled(x), edge_index).relu()
        heads = self.conv1(h, edge_index).chunk(self.posterior.num_heads, dim=-1)
        return self.posterior.from_heads(*heads)


check_graph_model(GATEncoder)  # raises an error that lists what is wrong
# In an installed package, an entry point of the group "vgae.models" takes the place of this line,
# for the command line too: vgae train --model gat. It also saves, predicts and has a page.
register_model("gat", GraphModel("graph attention auto-encoder", GATEncoder))
graph = vgae.load_dataset("stdlib")
split = vgae.split_links(graph)
recipe = PAPER.override({"epochs": 40, "mask": 0.5})  # half of the links are masked
model = vgae.fit(graph, split, model="gat", recipe=recipe).model
print(vgae.evaluate(model, graph, split)["test"].scores)
