"""Any dialect of a table gives the same graph; what a line is, is decided and said."""

import gzip
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from vgae.data.edge_lists import read_edges

ENDS = [
    *(("source", "target"), ("Source", "Target"), ("src", "dst"), ("from", "to"), ("u", "v")),
    *((":START_ID", ":END_ID"), ("id_1", "id_2"), ("Node A", "Node B"), ("sender", "recipient")),
    *(("FromNodeId", "ToNodeId"), ("source_page", "target_page"), ("protein1", "protein2")),
]
WEIGHTS = ["weight", "Weight", "w", "count", "combined_score", "edge weight"]
OTHERS = ["kind", "note", "date", "rank"]
NAMES = st.one_of(
    st.lists(st.sampled_from(["ann", "Bob Lee", "#cy", "d;e", "f,g", "Zoë", "5%"]), min_size=4),
    # Of ten lines at most: 10 and above are no numbers of lines.
    st.lists(st.integers(10, 19).map(str), min_size=4, max_size=20),
)


@st.composite
def graphs(draw):
    """Edges, weights or None."""
    names = draw(NAMES)
    pairs = list(zip(names[::2], names[1::2], strict=False))
    if not draw(st.booleans()):
        return pairs, None
    weight = st.integers(10, 99) | st.floats(0.25, 8).map(lambda value: round(value, 3))
    return pairs, draw(st.lists(weight, min_size=len(pairs), max_size=len(pairs)))


@st.composite
def dialects(draw, graph):
    """A text that holds a graph, and its bytes."""
    pairs, weights = graph
    delimiter = draw(st.sampled_from([*"\t;,| "]))
    columns = {"s": [u for u, _ in pairs], "t": [v for _, v in pairs]}
    header = draw(st.booleans())
    if weights is not None:
        columns["w"] = weights
        if draw(st.booleans()) and delimiter != ",":
            columns["w"] = [str(weight).replace(".", ",") for weight in weights]
    labels = dict(zip("st", draw(st.sampled_from(ENDS)), strict=True))
    labels["w"] = draw(st.sampled_from(WEIGHTS))
    order = list(columns)
    if header:
        for other in draw(st.lists(st.sampled_from(OTHERS), unique=True)):
            columns[other] = [f"{other} {k % 2}" for k in range(len(pairs))]
            labels[other] = other
        order = draw(st.permutations(list(columns)))
        if draw(st.booleans()):
            columns["index"], labels["index"] = list(range(len(pairs))), ""
            order = ["index", *order]
    quoted = delimiter == " " or draw(st.booleans())
    rows = zip(*(columns[name] for name in order), strict=True)
    lines = [[labels[name] for name in order]] if header else []
    lines += [list(map(str, row)) for row in rows]

    def written(field):
        plain = re.fullmatch(r"[\w.]+", field) is not None
        return field if plain and not quoted else '"' + field.replace('"', '""') + '"'

    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    comments = draw(st.sampled_from(["", "# made by hand", "% 1, 2; 3", "#", "sep"]))
    if comments == "sep":
        comments = f"sep={delimiter}"
    texts = [delimiter.join(map(written, line)) for line in lines]
    if draw(st.booleans()) and delimiter != " ":
        texts = [text + delimiter for text in texts]
    text = end.join([*([comments] if comments else []), *texts, ""])
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()
    return (gzip.compress(data), ".csv.gz") if draw(st.booleans()) else (data, ".csv")


@settings(deadline=None, max_examples=300)
@given(data=st.data(), graph=graphs())
def test_every_dialect_gives_the_same_graph(tmp_path_factory, data, graph):
    content, suffix = data.draw(dialects(graph))
    path = tmp_path_factory.getbasetemp() / f"dialect{suffix}"
    path.write_bytes(content)
    found = read_edges(path)
    names = [str(name) for name in found.names]
    pairs, weights = graph
    assert [(names[u], names[v]) for u, v in found.edges.T.tolist()] == pairs
    assert (None if found.weight is None else found.weight.tolist()) == weights
