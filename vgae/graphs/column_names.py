"""Words in the names of columns: which two are the ends of links, which is a weight."""

import re
from collections.abc import Collection, Iterator, Sequence

# First and second end. The first group is usual enough to show that a line is a header.
_USUAL = (
    *(("source", "target"), ("src", "dst"), ("src", "dest"), ("src", "tgt"), ("src", "target")),
    *(("source", "destination"), ("source", "dest"), ("from", "to"), ("head", "tail")),
    *(("u", "v"), ("i", "j"), ("sender", "receiver"), ("sender", "recipient"), ("start", "end")),
)
_OTHER = (
    *(("source", "sink"), ("origin", "destination"), ("origin", "dest"), ("orig", "dest")),
    *(("subject", "object"), ("follower", "followee"), ("follower", "followed")),
    ("follower", "following"),
    *(("citing", "cited"), ("caller", "callee"), ("parent", "child"), ("begin", "end")),
)
_SUFFIXES = (("1", "2"), ("a", "b"))
# These are ends of intervals too: other pairs are preferred.
_SPANS = ("start", "begin")

NODE_NAMES = ("id", "nodeid", "node", "name")
"""Keys of columns with the names of nodes in a table of nodes, the best first."""

_INDEX = {"", "index", "unnamed0", "rowid", "row", "rownames", "rownumber"}
_IDS = {"id", "eid", "edgeid", "linkid", "key"}
_WEIGHTS = {
    *("weight", "weights", "w", "edgeweight", "linkweight", "strength", "count", "counts", "n"),
    *("freq", "frequency", "value", "score", "rating", "similarity", "sim", "confidence"),
    *("probability", "prob", "combinedscore", "multiplicity", "intensity", "volume"),
}
_OF_TIME = ("time", "date", "year", "epoch", "stamp")
_KINDS = {"type", "kind", "class", "category", "relation", "edgetype", "known"}
_MEASURES = {
    *("distance", "dist", "distancekm", "km", "miles", "meters", "length", "cost", "duration"),
    *("seconds", "minutes", "hours", "day", "month", "when", "rank", "degree"),
    *("lat", "lon", "lng", "long", "latitude", "longitude"),
}
_LABELS = {
    *("label", "labels", "y", "islink", "isedge", "haslink", "exists", "linked", "groundtruth"),
    *("truth", "targetlabel", "edgelabel", "linklabel"),
}
_THINGS = {
    *("user", "item", "movie", "film", "product", "customer", "author", "paper", "book", "artist"),
    *("song", "track", "gene", "disease", "drug", "event", "group", "tag", "actor", "game"),
    *("shop", "reader", "article", "buyer", "seller", "member", "page", "student", "course"),
}
_PERSONS = {"user", "customer", "actor", "reader", "buyer", "seller", "member", "student"}
_LENGTHS = re.compile(r"dist|length|duration|cost")


def key_of(name: str) -> str:
    """Return a name in lower case, without blanks and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold())


def is_weight(name: str) -> bool:
    """Return whether a name is one of weights."""
    key = key_of(name)
    return key in _WEIGHTS or key.startswith("weight") or key.endswith("weight")


def is_no_weight(name: str) -> bool:
    """Return whether a name is one of times, numbers of rows, distances or kinds."""
    key = key_of(name)
    return (
        key in _MEASURES | _KINDS | _IDS | _INDEX | {"label"}
        or is_of_time(name)
        or _LENGTHS.match(key) is not None
        or (key.endswith("id") and name.rstrip().endswith(("id", "ID", "Id")))
    )


def is_of_time(name: str) -> bool:
    """Return whether a name is one of times."""
    return any(word in key_of(name) for word in _OF_TIME) or key_of(name) in ("when", "day")


def is_label(name: str) -> bool:
    """Return whether a name is one of labels of pairs: 1 for links, 0 for others."""
    return key_of(name) in _LABELS


def are_of_two_kinds(first: str, second: str) -> bool:
    """Return whether two names are those of numbers of different things, as user and item."""
    keys = [key_of(name) for name in (first, second)]
    things = [re.sub(r"(ids?|numbers?)$", "", key) for key in keys]
    if things[0] == things[1] or not all(things):
        return False
    numbered = all(thing != key for thing, key in zip(things, keys, strict=True))
    return numbered or all(thing.removesuffix("s") in _THINGS for thing in things)


def are_two_things(first: str, second: str) -> bool:
    """Return whether two names are those of things of which none is both, as user and item."""
    keys = [key_of(name) for name in (first, second)]
    things = [re.sub(r"(ids?|numbers?|s)$", "", key).removesuffix("s") for key in keys]
    known = {*things} <= _THINGS | _PERSONS and things[0] != things[1]
    return known and not {*things} <= _PERSONS | {"author", "artist"}


def are_two_ids(first: str, second: str) -> bool:
    """Return whether two names are those of numbers of two things, as user_id and item_id."""
    return are_two_things(first, second) and all(side_name(n) != n for n in (first, second))


def side_name(column: str) -> str:
    """Return the name of the things that a column numbers: ``user`` for ``user_id``."""
    found = re.fullmatch(r"(.*?)([\W_]+(?:ids?|IDs?|Ids?)|IDs?|Ids?|(?<=[a-z])ids?)", column)
    if found is None or not key_of(found[1]):
        return column
    is_apart = found[2][0] != "i" or key_of(found[1]).removesuffix("s") in _THINGS
    return found[1] if is_apart else column


def is_index(name: str) -> bool:
    """Return whether a name is one of numbers of rows."""
    return key_of(name) in _INDEX


def is_id(name: str) -> bool:
    """Return whether a name is one of numbers of links."""
    return key_of(name) in _IDS


def pairs_of(names: Sequence[str], among: Collection[int]) -> list[tuple[int, int]]:
    """Return the pairs of columns whose names are those of two ends, the best ones alone.

    ``source`` and ``target`` are best, then other pairs of words, then such words or the ends
    1 and 2, or a and b, beside the same words: ``FromNodeId`` and ``ToNodeId``.

    Args:
        names: Name of each column.
        among: Columns that may be ends.
    """
    found = _found(names, among)
    best = min((tier for tier, _ in found.values()), default=0)
    return [pair for pair, (tier, _) in found.items() if tier == best]


def is_usual_pair(names: Sequence[str]) -> bool:
    """Return whether names contain those of two ends that are hardly names of nodes."""
    return any(usual for _, usual in _found(names, range(len(names))).values())


def stems(names: Sequence[str]) -> set[str]:
    """Return the words of two names that differ in a number or letter at their end alone."""
    keys = [key_of(name) for name in names]
    pairs = pairs_of(names, range(len(names)))
    return {keys[a][:-1] for a, b in pairs if keys[a][:-1] == keys[b][:-1] != ""}


def _found(
    names: Sequence[str], among: Collection[int]
) -> dict[tuple[int, int], tuple[int, bool]]:
    """Return the tier of each pair of columns, 0 for the best, and whether its words are usual."""
    ends: dict[tuple[tuple[str, str], int, str], tuple[list[int], list[int]]] = {}
    for column in among:
        for side, pair, place, rest in _parts(key_of(names[column])):
            ends.setdefault((pair, place, rest), ([], []))[side].append(column)
    found: dict[tuple[int, int], tuple[int, bool]] = {}
    for (pair, _, rest), (sources, targets) in ends.items():
        tier = 2 if rest else 0 if pair == _USUAL[0] else 1
        tier = 3 if pair[0] in _SPANS or rest == "label" else tier
        usual = pair in _USUAL or (pair in _SUFFIXES and rest != "")
        for a in sources[:3]:
            for b in targets[:3]:
                before = found.get((a, b), (tier, usual))
                found[a, b] = min(tier, before[0]), usual or before[1]
    return found


def _parts(key: str) -> Iterator[tuple[int, tuple[str, str], int, str]]:
    """Yield side, pair of words, place of the word and the rest of a key."""
    for pair in (*_USUAL, *_OTHER):
        for side, word in enumerate(pair):
            if key == word:
                yield side, pair, 0, ""
            elif key.startswith(word) and _is_stem(key[len(word) :]):
                yield side, pair, 1, key[len(word) :]
            elif key.endswith(word) and _is_stem(key[: -len(word)]):
                yield side, pair, 2, key[: -len(word)]
    for pair in _SUFFIXES:
        for side, end in enumerate(pair):
            rest = key[:-1]
            if key.endswith(end) and (_is_stem(rest) if rest else end.isalpha()):
                yield side, pair, 2, rest


def _is_stem(rest: str) -> bool:
    """Return whether a word may be that of nodes, not of a number or a time."""
    number = rest in _WEIGHTS | _MEASURES | _KINDS or any(word in rest for word in _OF_TIME)
    return not (number or rest[-1:].isdigit())
