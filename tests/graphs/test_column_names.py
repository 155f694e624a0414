"""The words of two ends are found in any spelling, and measures are no ends."""

import pytest

from vgae.graphs.column_names import is_no_weight, is_usual_pair, is_weight, pairs_of, stems


@pytest.mark.parametrize(
    ("header", "ends"),
    [
        ("source,target", "source,target"),
        ("weight,TARGET,Source", "Source,TARGET"),
        ("source,target,source_id,target_id,from,to", "source,target"),
        ("id,u,v,start,end", "u,v"),
        (":START_ID,name,:END_ID", ":START_ID,:END_ID"),
        ("FromNodeId,ToNodeId", "FromNodeId,ToNodeId"),
        ("sourceid,targetid", "sourceid,targetid"),
        ("SOURCE_SUBREDDIT,TARGET_SUBREDDIT,POST_ID", "SOURCE_SUBREDDIT,TARGET_SUBREDDIT"),
        ("protein1,protein2,combined_score", "protein1,protein2"),
        ("id_1,id_2", "id_1,id_2"),
        ("Official Symbol Interactor A,Official Symbol Interactor B", None),
        ("node1,node2,score1,score2", "node1,node2"),
        ("source,target,start_date,end_date", "source,target"),
        ("a,b,weight", "a,b"),
        ("src,dest", "src,dest"),
        ("citing,cited", "citing,cited"),
        ("Source Label,Target Label", "Source Label,Target Label"),
    ],
)
def test_two_ends_are_found(header, ends):
    names = header.split(",")
    found = [f"{names[a]},{names[b]}" for a, b in pairs_of(names, range(len(names)))]
    assert found == [ends or header]


@pytest.mark.parametrize(
    "header",
    [
        *("start_date,end_date,n", "year1,year2", "source_type,target_type", "source,name"),
        *("userId,movieId,rating", "lat1,lat2", "col11,col12", "1,2", "data,base"),
    ],
)
def test_other_names_are_no_ends(header):
    names = header.split(",")
    assert pairs_of(names, range(len(names))) == []


def test_several_pairs_are_all_returned():
    names = ["source_id", "target_id", "source_name", "target_name"]
    assert pairs_of(names, range(4)) == [(0, 1), (2, 3)]
    assert pairs_of(names, [2, 3]) == [(2, 3)]


@pytest.mark.parametrize(
    ("header", "usual"),
    [
        ("From,To", True),
        ("node1,node2", True),
        ("a,b", False),
        ("parent,child", False),
        ("x,y", False),
    ],
)
def test_some_words_may_be_nodes(header, usual):
    assert is_usual_pair(header.split(",")) == usual


def test_stems_are_the_words_before_a_number_or_letter():
    assert stems(["protein1", "protein2", "score"]) == {"protein"}
    assert stems(["source", "target"]) == set()


@pytest.mark.parametrize("name", ["weight", "Edge Weight", "weight_kg", "Combined.Score", "n"])
def test_words_of_weights(name):
    assert is_weight(name)
    assert not is_no_weight(name)


@pytest.mark.parametrize(
    "name",
    [
        *("timestamp", "Year", "date", "created_at_time", "id", "Id", "post_id", "distance_km"),
        *("dist", "length", "cost", "rank", "type", "label", "", "Unnamed: 0", "duration_s"),
    ],
)
def test_words_of_other_numbers(name):
    assert is_no_weight(name)
    assert not is_weight(name)
