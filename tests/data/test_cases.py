"""Small files as people have them: read as they are meant, or refused with a cure that works."""

import logging
import re
from dataclasses import replace

import networkx as nx
import pandas as pd
import pytest

from vgae.cli.options import reading_of
from vgae.data.edge_lists import read_edges
from vgae.data.files import read_graph
from vgae.data.reading import Reading
from vgae.errors import DataError
from vgae.graphs.graph import Graph


def edges_of(found):
    names = [(found.names[u], found.names[v]) for u, v in found.edges.T.tolist()]
    return names if found.weight is None else list(zip(names, found.weight.tolist(), strict=True))


# Name, content, edges (with weights if there are any), and words of the log.
READ = {
    "spaces.csv": (
        "source,target,kind,label\nann,bob,friend,old pal\nbob,cat,friend,new pal\n",
        [("ann", "bob"), ("bob", "cat")],
        "left out: kind, label",
    ),
    "gephi.csv": (
        "Source,Target,Type,Weight\nAnn Lee,Bob,Undirected,2\nBob,Cy,Undirected,1\n",
        [(("Ann Lee", "Bob"), 2), (("Bob", "Cy"), 1)],
        "weights are column 'Weight', 1 to 2",
    ),
    "own.csv": ("source,target,score,rank\na,b c,-0.5,1\n", [("a", "b c")], "out: score, rank"),
    "own-probabilities.csv": (
        "source,target,score,balanced_probability\na,b,-0.5,0.1\nb,c,0.5,0.9\n",
        [("a", "b"), ("b", "c")],
        "left out: score, balanced_probability",
    ),
    "eid.csv": (
        "id,source,target\n1,10,20\n2,20,30\n3,30,10\n",
        [(10, 20), (20, 30), (30, 10)],
        "left out: id",
    ),
    "weight-first.csv": (
        "weight,source,target\n0.5,10,20\n2,20,30\n",
        [((10, 20), 0.5), ((20, 30), 2)],
        "weights are column 'weight', 0.5 to 2",
    ),
    "index.csv": (
        ",source,target\n0,ann,bob\n1,bob,cat\n",
        [("ann", "bob"), ("bob", "cat")],
        "left out: a column without a name",
    ),
    "index-in-r.txt": (
        '"from" "to" "w"\n"1" "ann lee" "bob" 2\n"2" "bob" "cat" 3\n',
        [(("ann lee", "bob"), 2), (("bob", "cat"), 3)],
        "weights are column 'w', 2 to 3",
    ),
    "index-alone.csv": (
        ",0,1\n0,ann,bob\n1,bob,cat\n",
        [("ann", "bob"), ("bob", "cat")],
        "left out: a column without a name",
    ),
    "times.csv": (
        "source,target,timestamp\n1,2,1700000000\n2,3,1700009999\n",
        [(1, 2), (2, 3)],
        "column 'timestamp', 1700000000 to 1700009999, is not read as weights: it looks like times"
        "; weight='timestamp' (--weight timestamp) reads it",
    ),
    "years.csv": ("u,v,year\na,b,1999\nb,c,2001\n", [("a", "b"), ("b", "c")], "looks like years"),
    "ids.csv": ("u,v,Id\na,b,7\nb,c,8\n", [("a", "b"), ("b", "c")], "left out: Id"),
    "km.csv": (
        "source,target,distance_km\na,b,7.5\nb,c,8\n",
        [("a", "b"), ("b", "c")],
        "column 'distance_km', 7.5 to 8, is not read as weights",
    ),
    "size.edges": (
        "4 4\n1 2\n2 3\n3 1\n3 4\n",
        [(1, 2), (2, 3), (3, 1), (3, 4)],
        "line 1: '4 4' states the numbers",
    ),
    "no-size.edges": ("4 7\n1 2\n2 3\n", [(4, 7), (1, 2), (2, 3)], "3 edges in 3 lines"),
    "size-of-nodes.edges": ("5\n1 2\n2 5\n", [(1, 2), (2, 5)], "line 1: '5' states"),
    "size-of-weights.edges": (
        "3 3 2\n1 2 0.5\n2 3 4\n",
        [((1, 2), 0.5), ((2, 3), 4)],
        "line 1: '3 3 2' states",
    ),
    "quotes.txt": (
        '"from" "to" "weight"\n"ann" "bob" 2.5\n"bob" "cat" 1\n',
        [(("ann", "bob"), 2.5), (("bob", "cat"), 1)],
        "header 'from,to,weight'",
    ),
    "numbers.csv": (
        "source,target\n1,2.0\n2,3.0\n3,1.0\n",
        [("1", "2.0"), ("2", "3.0"), ("3", "1.0")],
        "'1' and '1.0' are two nodes, but the same number",
    ),
    "tags.csv": (
        "source,target\n#sun,sea\nsea,#sky\n#sky,sand\n",
        [("#sun", "sea"), ("sea", "#sky"), ("#sky", "sand")],
        "3 edges in 4 lines",
    ),
    "tags-first.csv": ("#sky,sun\nsea,#sky\n", [("#sky", "sun"), ("sea", "#sky")], "2 edges"),
    "percent.tsv": (
        "%C3%89té\tHiver\nHiver\tNeige\nNeige\t%C3%89té\n",
        [("%C3%89té", "Hiver"), ("Hiver", "Neige"), ("Neige", "%C3%89té")],
        "3 edges in 3 lines",
    ),
    "percent-once.tsv": (
        "%C3%89té\tHiver\nHiver\tNeige\n",
        [("%C3%89té", "Hiver"), ("Hiver", "Neige")],
        "1 line of data begin with a sign of comments: it is part of their first name",
    ),
    "percent-below-comments.tsv": (
        "# The edges\n# linkSource linkTarget\n\n%C3%89t\tBede\n%41b\tCy\nBede\tCy\n",
        [("%C3%89t", "Bede"), ("%41b", "Cy"), ("Bede", "Cy")],
        "2 lines of data begin with a sign of comments",
    ),
    "tag-of-a-name.csv": (
        "#sun,sea\nsea,#sky\n",
        [("#sun", "sea"), ("sea", "#sky")],
        "1 line of data",
    ),
    "numbers-in-a-comment.txt": (
        "#nodes 3\n1 2\n2 3\n",
        [(1, 2), (2, 3)],
        "1 line before the data skipped as comments",
    ),
    "no-size-below-names.txt": (
        "# source target\n2 1\n0 1\n",
        [(2, 1), (0, 1)],
        "header 'source,target'",
    ),
    "size-below-a-title.txt": (
        "Dolphin network\n3 2\n11 1\n15 1\n",
        [(11, 1), (15, 1)],
        "line 2: '3 2' states",
    ),
    "words-of-relations.csv": (
        "subject,predicate,object\na,likes,b\nb,hates,c\n",
        [("a", "b"), ("b", "c")],
        "left out: predicate",
    ),
    "floats.csv": (
        "source,target\n1.0,2.0\n2.0,3.0\n",
        [("1.0", "2.0"), ("2.0", "3.0")],
        "names such as '1.0' stay text",
    ),
    "missing.csv": (
        "source,target\na,b\nb,NaN\n",
        [("a", "b"), ("b", "NaN")],
        "'NaN' is the name of a node",
    ),
    "all-links.csv": (
        "source,target,label\na,b,1\nb,c,1\n",
        [("a", "b"), ("b", "c")],
        "left out: label",
    ),
    "later-comments.csv": (
        "a,b\n# one\n%two, 2, 3\nb,c\n",
        [("a", "b"), ("b", "c")],
        "2 lines skipped as comments, the first is line 2",
    ),
    "later-comments.txt": ("a b\n# one\nb c\n", [("a", "b"), ("b", "c")], "1 line skipped"),
    "bip.txt": (
        "% bip unweighted\n1 1\n1 2\n2 1\n3 3\n",
        [(f"source:{u}", f"target:{v}") for u, v in ((1, 1), (1, 2), (2, 1), (3, 3))],
        "two sides, of 3 and 3 nodes; 3 names are on both, and become source:NAME and target:NAME",
    ),
    "konect.txt": (
        "% sym weighted\n% 2 3 3\n1 2 3 1700000000\n2 3 1.5 1700000001\n",
        [((1, 2), 3), ((2, 3), 1.5)],
        "its comments state undirected edges, 2 edges",
    ),
    "cut.txt": (
        "# Undirected graph: x\n# Nodes: 3 Edges: 4\n# FromNodeId\tToNodeId\n0\t1\n1\t2\n",
        [(0, 1), (1, 2)],
        "its comments state 4 edges, it has 2; it may be cut short",
    ),
    "users.csv": (
        "user_id,item_id\n1,1\n1,2\n",
        [("user_id:1", "item_id:1"), ("user_id:1", "item_id:2")],
        "the columns user_id and item_id are two sides: links go across alone; sides='none'"
        " (--sides none)",
    ),
    "commented-names.csv": ("#target,source\na,b\nc,d\n", [("b", "a"), ("d", "c")], "2 edges"),
    "sep.csv": (
        "sep=;\nsource;target;weight\na;b;1,5\nb;c;2\n",
        [(("a", "b"), 1.5), (("b", "c"), 2)],
        "commas in the weights are decimal signs",
    ),
    "trailing.csv": ("a;b;\nb;c;\n", [("a", "b"), ("b", "c")], "separated by semicolons"),
    "trailing-names.csv": (
        "source,target,weight,\na,b,2,\nb,c,1,\n",
        [(("a", "b"), 2), (("b", "c"), 1)],
        "header 'source,target,weight'",
    ),
    "nx.txt": ("a b {}\nb c {}\n", [("a", "b"), ("b", "c")], "with dictionaries of networkx"),
    "nx-weights.txt": (
        "a b {'weight': 3.0}\nb c {'weight': np.float64(1.5), 'kind': 'x y'}\n",
        [(("a", "b"), 3), (("b", "c"), 1.5)],
        "others are left out: kind",
    ),
    "neo4j.csv": (
        ":END_ID,:START_ID,:TYPE\n1,2,KNOWS\n2,3,KNOWS\n",
        [(2, 1), (3, 2)],
        "left out: :TYPE",
    ),
    "reddit.tsv": (
        "SOURCE_SUBREDDIT\tTARGET_SUBREDDIT\tPOST_ID\tTIMESTAMP\na\tb\tx1\t2013-12-31 16:39:58\n",
        [("a", "b")],
        "left out: POST_ID, TIMESTAMP",
    ),
    "string.txt": (
        "protein1 protein2 combined_score\n9606.A 9606.B 173\n9606.A 9606.C 154\n",
        [(("9606.A", "9606.B"), 173), (("9606.A", "9606.C"), 154)],
        "weights are column 'combined_score', 154 to 173",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_as_it_is_meant(name, tmp_path, caplog):
    content, edges, said = READ[name]
    (tmp_path / name).write_text(content)
    with caplog.at_level(logging.INFO, "vgae"):
        found = read_edges(tmp_path / name)
    assert edges_of(found) == edges
    assert said in caplog.text


# Name, content, code, words, and the edges by the cure in the message.
REFUSED = {
    "when.csv": (
        "1,2,4,2020-01-05 10:00\n2,3,1,2020-01-06 11:30\n",
        "FIELDS",
        "expected 2 or 3 fields separated by commas, got 4",
        [(1, 2), (2, 3)],
    ),
    "blank4.csv": (
        "Ann,Bob Lee,friend,1\nBob,Cy Day,friend,1\n",
        "FIELDS",
        "separated by commas, got 4: 'Ann,Bob Lee,friend,1'",
        [("Ann", "Bob Lee"), ("Bob", "Cy Day")],
    ),
    "tri.tsv": (
        "0101\tis_a\t0202\n0202\tpart_of\t0303\n",
        "COLUMNS",
        "the second of 3 fields looks like a relation",
        [("0101", "0202"), ("0202", "0303")],
    ),
    "relation-last.txt": (
        "ann bob likes\nbob cy likes\ncy ann hates\n",
        "COLUMNS",
        "the third of 3 fields looks like a relation",
        [("ann", "bob"), ("bob", "cy"), ("cy", "ann")],
    ),
    "na1.csv": (
        "1,2,NA\n2,3,0.5\n3,1,0.5\n",
        "BAD_WEIGHT",
        "line 1: a weight must be a finite number, got 'NA'",
        [(1, 2), (2, 3), (3, 1)],
    ),
    "thousands.csv": (
        "a;b;1,5\nb;c;1.234,5\n",
        "BAD_WEIGHT",
        "line 2: a weight must be a finite number, got '1.234,5'",
        [("a", "b"), ("b", "c")],
    ),
    "measures.csv": (
        "city,town,km\na,b,3\nb,c,5\n",
        "FIELDS",
        "got 3 fields under the header 'city,town,km'",
        [("a", "b"), ("b", "c")],
    ),
    "ratings.csv": (
        "userId,movieId,rating,timestamp\n1,7,4.0,964982703\n1,8,4.5,964981247\n",
        "FIELDS",
        "got 4 fields under the header 'userId,movieId,rating,timestamp'",
        [(1, 7), (1, 8)],
    ),
    "biogrid.tsv": (
        "Gene A\tGene B\tSymbol A\tSymbol B\n3\t4\tx\ty\n4\t5\ty\tz\n",
        "COLUMNS",
        "several columns may be the ends of links",
        [(3, 4), (4, 5)],
    ),
    "two-weights.csv": (
        "source,target,count,score\na,b,3,0.5\n",
        "COLUMNS",
        "several columns may be weights, count, score",
        [(("a", "b"), 3)],
    ),
    "labels.csv": (
        "source,target,label\na,b,1\nb,c,0\nc,d,1\n",
        "LABELS",
        "column 'label' has 0 and 1, and 0 may mark pairs without a link",
        [("a", "b"), ("b", "c"), ("c", "d")],
    ),
    "labels-beside-weights.csv": (
        "src,dst,is_link,weight\n" + "a,b,1,2\n" * 200 + "b,c,0,2\n",
        "LABELS",
        "column 'is_link' has 0 and 1",
        [("a", "b")] * 200 + [("b", "c")],
    ),
    "people.csv": (
        "id,name,friend\n1,ann,bob\n2,bob,cat\n",
        "FIELDS",
        "3 fields under the header 'id,name,friend'",
        [("ann", "bob"), ("bob", "cat")],
    ),
    "nodes.csv": (
        "id,label\n1,Ann\n2,Bob\n3,Cy\n",
        "FIELDS",
        "a table of nodes is read as features=... (--features)",
        [("1", "Ann"), ("2", "Bob"), ("3", "Cy")],
    ),
    "dates.csv": (
        "user,mentioned_user,created_at\nann,bob,2020-01-01\nbob,cy,2020-01-02\n",
        "FIELDS",
        "3 fields under the header 'user,mentioned_user,created_at'",
        [("ann", "bob"), ("bob", "cy")],
    ),
    "colons.txt": (
        "a:b\nb:c\n",
        "FIELDS",
        "expected 2 or 3 fields, got 'a:b'; delimiter=':'",
        [("a", "b"), ("b", "c")],
    ),
    "all-comments.csv": (
        "#a,#b\n#c,#d\n",
        "NO_EDGES",
        "2 lines are comments",
        [("#a", "#b"), ("#c", "#d")],
    ),
    "nx-one-weight.txt": (
        "a b {'weight': 3.0}\nb c {}\n",
        "BAD_WEIGHT",
        "line 2: no 'weight', other than in the lines before",
        [("a", "b"), ("b", "c")],
    ),
}


def cure_of(message):
    """The options of the command line in a message."""
    option, value = re.search(r"\(--([a-z_-]+) ([^()]+)\)", message).groups()
    return reading_of({option.replace("-", "_"): value.strip("'")})


@pytest.mark.row("L45")
@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_with_a_cure_that_works(name, tmp_path):
    content, code, said, edges = REFUSED[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        read_edges(tmp_path / name)
    assert caught.value.code == code
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert edges_of(read_edges(tmp_path / name, cure_of(str(caught.value)))) == edges


@pytest.mark.parametrize(
    "content", ["0,1,0\n1,0,1\n0,1,0\n", "0 2 0 1\n2 0 0 0\n0 0 0 .5\n1 0 .5 0\n"]
)
def test_a_square_of_numbers_is_refused_with_the_format_that_reads_it(content, tmp_path):
    (tmp_path / "g.csv").write_text(content)
    with pytest.raises(DataError, match="may be an adjacency") as caught:
        read_graph(tmp_path / "g.csv")
    name = re.search(r"\(--format (\w+)\)", str(caught.value))[1]
    graph = read_graph(tmp_path / "g.csv", format=name)
    assert (graph.num_nodes, graph.num_links) == (content.count("\n"), content.count("\n") - 1)
    (tmp_path / "triangle.csv").write_text("0,1,1\n1,2,1\n2,0,1\n")
    assert read_graph(tmp_path / "triangle.csv").num_links == 3


@pytest.mark.row("L47")
def test_labels_of_pairs_are_no_links_in_parquet(tmp_path):
    frame = pd.DataFrame({"source": ["a", "b"], "target": ["b", "c"], "label": [True, False]})
    frame.to_parquet(tmp_path / "g.parquet")
    with pytest.raises(DataError, match="column 'label' has 0 and 1") as caught:
        read_edges(tmp_path / "g.parquet")
    assert caught.value.code == "LABELS"
    frame[frame.label].to_parquet(tmp_path / "g.parquet")
    assert edges_of(read_edges(tmp_path / "g.parquet")) == [("a", "b")]


def test_a_quote_that_never_closes_is_named(tmp_path):
    (tmp_path / "g.csv").write_text('source,target\n"a,b\nb,c\n')
    with pytest.raises(DataError, match="line 2: a quoted field does not end") as caught:
        read_edges(tmp_path / "g.csv")
    assert caught.value.code == "QUOTES"


@pytest.mark.parametrize("content", ["(1, 2)\n(2, 3)\n", "[1, 2],\n[2, 3],\n", "('1', '2')\n"])
def test_brackets_are_refused_with_a_command_that_removes_them(content, tmp_path):
    (tmp_path / "par.txt").write_text(content)
    with pytest.raises(DataError, match="lines are in brackets") as caught:
        read_edges(tmp_path / "par.txt")
    removed, name = re.search(r"tr -d (\S+) < (\S+) > plain\.txt", str(caught.value)).groups()
    assert name == "par.txt"
    plain = "".join(c for c in content if c not in removed[1:-1])
    (tmp_path / "plain.txt").write_text(plain)
    assert edges_of(read_edges(tmp_path / "plain.txt"))[0] == (1, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("adj.txt", "1 2 3 4\n2 3\n3 4 5\n4 5\n"), ("adj.csv", "a,b,c\nb,c\nc,d,e,f\n")],
)
def test_lists_of_neighbours_are_refused_with_the_call_that_reads_them(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="a node and then its neighbours") as caught:
        read_edges(tmp_path / name)
    assert caught.value.code == "FIELDS"
    separated = re.search(r"delimiter='(.)'", str(caught.value))
    options = {} if separated is None else {"delimiter": separated[1]}
    graph = Graph.from_networkx(nx.read_adjlist(tmp_path / name, **options))
    assert graph.num_links == sum(len(re.split("[ ,]", line)) - 1 for line in content.splitlines())


@pytest.mark.parametrize(
    "content",
    [
        "% asym unweighted\n1 2\n2 3\n3 1\n3 4\n",
        "# Directed graph (each unordered pair of nodes is saved once): d.txt\n"
        "# FromNodeId\tToNodeId\na\tb\nb\tc\nc\td\nd\ta\n",
        "Source,Target,Type,Id\n1,2,Undirected,0\n2,3,Directed,1\n",
    ],
)
def test_a_stated_direction_counts(content, tmp_path):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "a.txt", directed="error")
    assert caught.value.code == "DIRECTED"
    assert read_graph(tmp_path / "a.txt").notes["one_way"] > 0
    undirected = content.replace("Directed", "Undirected").replace("asym", "sym")
    (tmp_path / "a.txt").write_text(undirected)
    assert "one_way" not in read_graph(tmp_path / "a.txt", directed="error").notes


def test_edges_in_both_directions_and_in_one_are_counted(tmp_path):
    (tmp_path / "d2.csv").write_text("source,target\nann,bob\nbob,ann\nbob,cat\n")
    assert dict(read_graph(tmp_path / "d2.csv").notes) == {"both_ways": 1, "one_way": 1}
    with pytest.raises(DataError, match="use directed='symmetrize'"):
        read_graph(tmp_path / "d2.csv", directed="error")


def test_two_sides_keep_their_names_apart_and_both_options_say_so(tmp_path):
    (tmp_path / "a.csv").write_text("user,item,rating\n1,1,5\n2,1,3\n2,7,4\n")
    found = read_edges(tmp_path / "a.csv", Reading(two_sided=True))
    ends = [("user:1", "item:1"), ("user:2", "item:1"), ("user:2", "item:7")]
    assert edges_of(found) == list(zip(ends, [5, 3, 4], strict=True))
    assert len(found.names) == 4
    (tmp_path / "a.csv").write_text("user,item\n1,11\n2,11\n")
    assert read_edges(tmp_path / "a.csv", Reading(two_sided=True)).names == [1, 2, 11]


def test_a_matrix_without_a_header_is_read_and_said(tmp_path, caplog):
    content = "% networkrepository style\n4 4 3\n2 1\n3 1\n4 3\n"
    (tmp_path / "nb.mtx").write_text(content)
    graph = read_graph(tmp_path / "nb.mtx")
    assert (graph.num_nodes, graph.links.T.tolist()) == (4, [[0, 1], [0, 2], [2, 3]])
    assert "WARNING" in caplog.text
    assert "no header of Matrix Market, read as a general matrix" in caplog.text


@pytest.mark.parametrize("name", ["m.txt", "m.edges"])
def test_a_matrix_under_the_suffix_of_an_edge_list_keeps_its_nodes(name, tmp_path):
    head = "%%MatrixMarket matrix coordinate pattern symmetric\n"
    (tmp_path / name).write_text(head + "5 5 2\n2 1\n3 1\n")
    graph = read_graph(tmp_path / name)
    assert (graph.num_nodes, graph.links.T.tolist()) == (5, [[0, 1], [0, 2]])


def test_stored_zeros_of_a_matrix_are_no_links_and_counted(tmp_path, caplog):
    head = "%%MatrixMarket matrix coordinate real symmetric\n4 4 3\n"
    (tmp_path / "z.mtx").write_text(head + "2 1 1\n3 1 0\n4 3 2\n")
    with caplog.at_level(logging.INFO, "vgae"):
        assert read_graph(tmp_path / "z.mtx").num_links == 2
    assert "stored zeros are no links" in caplog.text
    head = "%%MatrixMarket matrix coordinate pattern general\n3 3 2\n"
    (tmp_path / "m.mtx").write_text(head + "2 1\n3 1\n")
    with pytest.raises(DataError, match="use directed='symmetrize'"):
        read_graph(tmp_path / "m.mtx", directed="error")


def test_options_take_what_is_not_taken_by_itself(tmp_path):
    (tmp_path / "ts.csv").write_text("source,target,timestamp\n1,2,1700000000\n2,3,1700009999\n")
    by = Reading(weight="timestamp")
    assert edges_of(read_edges(tmp_path / "ts.csv", by))[0] == ((1, 2), 1_700_000_000)
    timed = read_edges(tmp_path / "ts.csv", replace(by, weight=None, time="timestamp"))
    assert timed.time.tolist() == [1_700_000_000, 1_700_009_999]
    (tmp_path / "w.csv").write_text("source,target,weight\n1,2,-1\n2,3,0\n")
    assert read_edges(tmp_path / "w.csv", Reading(weight="none")).weight is None


def test_columns_of_two_kinds_are_selected_with_both_sides(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,1,3.5,964981247\n")
    with pytest.raises(DataError, match=r"--columns userId,movieId\).*two_sided=True") as caught:
        read_graph(path)
    assert caught.value.code == "FIELDS"
    graph = read_graph(path, columns=("userId", "movieId"), two_sided=True)
    assert (graph.num_nodes, graph.num_links) == (3, 2)


def test_four_lines_of_konect_are_no_adjacency(tmp_path):
    lines = "1 1 2 1199142000\n1 2 1 1199142100\n2 3 5 1199142200\n2 1 1 1199142300\n"
    (tmp_path / "out.txt").write_text(f"% bip posweighted\n% 4 2 3\n{lines}")
    graph = read_graph(tmp_path / "out.txt")
    assert (graph.num_nodes, sorted(graph.link_weight.tolist())) == (5, [1, 1, 2, 5])
