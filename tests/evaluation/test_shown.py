import json
import pickle

import numpy as np
import pytest

from vgae import VAE, GCNEncoder, InnerProductDecoder, evaluate, split_links
from vgae.evaluation.clusters import Clusters
from vgae.evaluation.images import ImageEvaluation
from vgae.evaluation.shown import Evaluations, shown
from vgae.evaluation.typed import TypedEvaluation
from vgae.runtime.streams import stream


@pytest.fixture(scope="module")
def found(sbm):
    generator = stream(0, "init")
    model = VAE(GCNEncoder(sbm.num_features, 4, 2, generator=generator), InnerProductDecoder())
    return evaluate(model, sbm, split_links(sbm), allow_seen=True, hard=4)


def test_an_evaluation_is_one_line_of_its_scores(found):
    text = repr(found["test"])
    assert text.startswith(f"LinkEvaluation(auc={found['test'].auc:.4f}, ap=")
    assert "hard_mrr=" in text
    assert "\n" not in text
    assert len(repr(found)) < 500


def test_a_notebook_shows_the_parts_side_by_side(found):
    page = found._repr_html_()
    for name in ("val", "test"):
        assert f">{name}</td>" in page
        assert f">{found[name].auc:.4f}</td>" in page
        assert f">{found[name].ranks.mrr:.4f}</td>" in page
    assert page.count("<tr>") == 3
    one = found["test"]._repr_html_()
    assert f"{found['test'].intervals.auc[0]:.4f} – " in one
    assert f">{found['test'].num_links}</td>" in one


def test_evaluations_are_a_dictionary_as_before(found):
    assert isinstance(found, dict)
    assert list(pickle.loads(pickle.dumps(found))) == ["val", "test"]
    assert set(json.loads(json.dumps({k: e.to_dict() for k, e in found.items()}))) == {*found}
    assert "No links were held out" in Evaluations()._repr_html_()


def test_relations_have_a_row_each(found):
    typed = TypedEvaluation({"likes": found["test"], "<b>": found["val"]})
    assert repr(typed).endswith("2 relations)")
    assert "&lt;b&gt;" in typed._repr_html_()
    assert shown(typed) == {"AUC": typed.auc, "AP": typed.ap, "relations": 2}
    assert f">{typed.auc:.4f}</td>" in Evaluations(test=typed)._repr_html_()


def test_scores_of_images_have_their_errors():
    whole = ImageEvaluation(-30.5, 0.25, -28.0, 2.5, -29.5, 0.125, 100, 50, 1, 2)
    page = whole._repr_html_()
    assert ">-30.50 ± 0.25</td>" in page
    assert "log p(x), 100 samples" in page
    assert ">1 of 2</td>" in page
    point = ImageEvaluation(-30.5, None, -30.5, 0.0, None, None, 0, 1, 2, 2)
    assert "log p(x)," not in point._repr_html_()
    assert ">-30.50</td>" in point._repr_html_()


def test_clusters_are_shown_by_size():
    labels = np.array([0, 0, 0, 1])
    clusters = Clusters(labels, np.array([0.5, 0.25, 0.75, 1.0]), "kmeans", {})
    assert repr(clusters) == "Clusters('kmeans', 4 nodes in 2: 3, 1)"
    assert ">0.5000</td>" in clusters._repr_html_()
    many = Clusters(np.arange(5000), np.ones(5000), "louvain", {})
    assert len(repr(many)) < 100
    assert "... and 4,990 more" in many._repr_html_()
