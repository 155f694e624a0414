"""A model card is what the Hugging Face Hub reads, and the same bytes for the same model."""

import pytest

import vgae
from vgae.models.card import Card, Score, card_of_config, card_text, write_card

CARD = Card(
    "graph",
    "vgae",
    16,
    'two: "words" <b>|x\n# y',
    ["It was trained."],
    [Score("roc_auc", "ROC AUC of test links", 0.5, (0.25, 0.75)), Score("mrr", "MRR", 0.125)],
    "Held out.",
    ["Not for this."],
)


def test_the_hub_reads_its_front_matter():
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card_text(CARD)).data
    assert data.to_dict()["library_name"] == "vgae"
    assert {"vgae", "link-prediction"} <= {*data.tags}
    first, second = data.eval_results
    assert (first.metric_type, first.metric_value) == ("roc_auc", 0.5)
    assert first.dataset_name == CARD.data
    assert second.metric_value == 0.125


def test_names_cannot_write_markup_of_their_own():
    body = card_text(CARD).split("---\n", 2)[2]
    assert '# vgae on two: "words" \\<b\\>\\|x \\# y\n' in body
    assert "<b>" not in body
    assert "| ROC AUC of test links | 0.5000 | 0.2500 to 0.7500 |" in body


def test_without_scores_there_is_no_table_and_no_index():
    text = card_text(Card("images", "vae", 2))
    assert "model-index" not in text
    assert "## Scores" not in text
    assert "## Limits" not in text


@pytest.mark.parametrize(
    "model",
    [
        vgae.VAE(vgae.GCNEncoder(4, 8, 2), vgae.InnerProductDecoder()),
        vgae.VAE(vgae.MLPEncoder((1, 2, 2), [4], 2), vgae.BernoulliDecoder.mlp((1, 2, 2), [4], 2))
        if hasattr(vgae.BernoulliDecoder, "mlp")
        else vgae.VAE(vgae.GCNEncoder(4, 8, 2), vgae.InnerProductDecoder(bias=True)),
    ],
    ids=["graph", "other"],
)
def test_every_saved_model_has_a_card(model, tmp_path):
    for name in ("a", "b"):
        vgae.save_pretrained(model, tmp_path / name)
    text = (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert text == (tmp_path / "b" / "README.md").read_text(encoding="utf-8")
    assert "2 latent dimensions" in text
    assert str(tmp_path) not in text
    assert 'vgae.from_pretrained("FOLDER")' in text


def test_a_model_of_images_says_what_images_it_takes(tmp_path):
    config = {"model": "vae", "shape": [1, 8, 8], "recipe": {"latent_channels": 2}}
    write_card(tmp_path, card_of_config(config))
    assert "images of 1 x 8 x 8" in (tmp_path / "README.md").read_text()
