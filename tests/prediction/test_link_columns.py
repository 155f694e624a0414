"""Further columns are those of the pairs as the decoder takes them."""

import torch

import vgae
from vgae.prediction import link_columns


def test_further_columns_are_added_in_one_place(sbm, monkeypatch):
    model = vgae.fit(
        sbm,
        vgae.split_links(sbm),
        recipe=vgae.recipes.PAPER.override({"epochs": 2}),
        progress=False,
    ).model

    def doubled(scorer, pairs):
        assert scorer.q.mu.shape[0] == sbm.num_nodes
        return {"doubled": 2 * scorer.logits(pairs)}

    monkeypatch.setattr(link_columns, "FURTHER", (doubled,))
    for table in (
        vgae.predict_links(model, sbm, 2),
        vgae.score_links(model, sbm, [(sbm.ids[3], sbm.ids[1])]),
    ):
        assert torch.allclose(table.further["doubled"], 2 * table.score)
