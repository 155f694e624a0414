"""A LightningDataModule of a graph and its split, and the model as a LightningModule."""

import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

import vgae


class Links(LightningDataModule):
    def setup(self, stage=None):
        self.graph = vgae.load_dataset("stdlib")  # or vgae.read_graph("links.csv")
        self.split = vgae.split_links(self.graph, seed=0)

    def train_dataloader(self):  # the whole graph is one batch
        batch = self.graph.x.to_dense(), self.split.message_edge_index
        return DataLoader([batch], batch_size=None)


class Model(LightningModule):
    def __init__(self, num_features):
        super().__init__()
        decoder = vgae.InnerProductDecoder(weighting="kipf")
        self.vae = vgae.VAE(vgae.GCNEncoder(num_features), decoder)

    def training_step(self, batch, _):
        return -self.vae(batch, batch[1]).elbo()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


(data := Links()).setup()
model = Model(data.graph.num_features)
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
Trainer(max_epochs=60, accelerator="cpu", enable_model_summary=False, **quiet).fit(model, data)
test = vgae.evaluate(model.vae, data.graph, data.split)["test"]
print(f"AUC {test.auc:.3f}, AP {test.ap:.3f} of the test links")
