"""Options of reading: the layout of files, the meaning of their columns, what becomes of edges."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from vgae.errors import UsageError, check_choice, did_you_mean
from vgae.graphs.defaults import Directed, Merge, MissingFeatures, sides_option

Normalize = Literal["none", "nfc"]
Encode = str | Mapping[str, Any]

_CHOICES = {
    "directed": Directed,
    "merge": Merge,
    "missing_features": MissingFeatures,
    "normalize": Normalize,
}


@dataclass(frozen=True)
class Reading:
    """How :func:`vgae.read_graph` reads files.

    Attributes:
        format: Format of the file of the graph, such as ``"csv"``; that of its suffix if None.
        delimiter: Character between the fields of a text; a space stands for any white space;
            detected and logged if None.
        header: Whether the first line of a text names the columns; detected and logged if None.
        encoding: Name of the encoding of text, as Python spells it.
        comment: First character of the comments before the first line of data; ``"none"`` without
            comments; ``#`` and ``%`` if None.
        columns: Names of the columns of an edge list. Under a header: those of source, target and
            optionally weight. Without one: a name for each column, among them ``source`` and
            ``target``, and ``weight`` if it is one. Detected and logged if None.
        weight: Column of an edge list with the weights; ``"none"`` for links without weights;
            detected and logged if None.
        time: Column of an edge list with the time of each edge, which is no weight.
        graph_column: Column of an edge list, and of a table of nodes, with the name of the graph
            of each row: the file is a :class:`vgae.GraphCollection`, in which different graphs
            may have nodes of the same names.
        graph_labels: File with a label of each graph of a collection: a table (.csv, .tsv, .txt,
            .parquet) with a header and the columns of graphs and labels.
        id_column: Column of a table of nodes with their names; detected if None.
        label_column: Column of a table of nodes with their labels, of any type.
        encode: ``"none"``: features must be numbers. ``"auto"``: see
            :meth:`vgae.graphs.encoding.TableEncoder.fit`; a mapping from columns to kinds is
            ``"auto"`` with these kinds, such as ``{"notes": "hash"}``. A ``TableEncoder`` encodes
            as before, and is stored as a mapping.
        missing_features: Nodes without features, and features without a node: ``"refuse"``;
            ``"zero"`` and ``"mean"`` give such nodes rows of zeros or of the columns' means, and
            add isolated nodes; ``"impute"`` takes these rows, and empty cells, for
            :attr:`vgae.Graph.missing` entries.
        sides: Two sides of nodes, such as users and items, with links from one to the other:
            ``"columns"``, of which a name in both is two nodes, ``source:NAME`` and
            ``target:NAME``; ``"none"``; an attribute of nodes that has their side, in files with
            attributes. ``"auto"`` takes those that the file states, columns with names such as
            ``user_id`` and ``item_id``, and what
            :func:`vgae.graphs.side_detection.detected` finds.
        two_sided: The same as ``sides="columns"``.
        directed: As for :meth:`vgae.Graph.from_edges`.
        merge: As for :meth:`vgae.Graph.from_edges`.
        drop_zero: Drop edges of weight zero instead of refusing them; their nodes stay.
        signed: Weights may be negative: their signs become those of the links; see
            :meth:`vgae.Graph.from_edges`.
        normalize: Normal form of names: ``"nfc"`` merges names that Unicode can write in two
            ways, an accent with its letter or after it; ``"none"`` leaves them unchanged.
    """

    format: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    encoding: str = "utf-8"
    comment: str | None = None
    columns: tuple[str, ...] | None = None
    weight: str | None = None
    time: str | None = None
    graph_column: str | None = None
    graph_labels: str | None = None
    id_column: str | None = None
    label_column: str | None = None
    encode: Encode = "none"
    missing_features: MissingFeatures = "refuse"
    sides: str = "auto"
    two_sided: bool = False
    directed: Directed = "symmetrize"
    merge: Merge = "mean"
    drop_zero: bool = False
    signed: bool = False
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        if not isinstance(self.encode, str | Mapping):
            if not hasattr(self.encode, "to_dict"):
                raise UsageError(
                    "ENCODE",
                    "encode must be 'none', 'auto', kinds of columns such as {'notes': 'hash'}, or"
                    f" a TableEncoder, got {self.encode!r:.60}.",
                )
            object.__setattr__(self, "encode", self.encode.to_dict())
        object.__setattr__(self, "sides", sides_option(self.sides, two_sided=self.two_sided))
        object.__setattr__(self, "two_sided", False)
        if self.graph_labels is not None:
            object.__setattr__(self, "graph_labels", str(self.graph_labels))
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
        delimiter, comment = self.delimiter, self.comment
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"#%\r\n'):
            raise UsageError(
                "DELIMITER", f"delimiter must be one character, got {delimiter!r:.20}."
            )
        if comment not in (None, "none") and (len(comment) != 1 or comment in '"\r\n'):
            raise UsageError("COMMENT", f"comment must be one character, got {comment!r:.20}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the options by name.

        Raises:
            UsageError: ``OPTION`` if there is no such option; or if a value is invalid.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                what = f"there is no option {name!r:.60}; there are {', '.join(known)}."
                raise UsageError("OPTION", what + did_you_mean(name, known))
        return cls(**options)

    def of_links(self) -> dict[str, Any]:
        """Return the arguments of :meth:`vgae.Graph.from_edges` on links."""
        how = {"merge": self.merge, "directed": self.directed, "sides": self.sides}
        return how | ({"signed": True} if self.signed else {})

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are not the default, as plain values for JSON."""
        default = asdict(Reading())
        return {name: value for name, value in asdict(self).items() if value != default[name]}

    def to_words(self) -> list[str]:
        """Return the options that are not the default as words of the command line.

        It has no option for ``time`` alone.
        """
        words, given = [], self.to_dict()
        given.pop("time", None)
        for name, value in given.items():
            flag = f"--{name.replace('_', '-')}"
            if name == "encode" and not isinstance(value, str):
                if {"format", "columns"} <= value.keys():  # of a TableEncoder
                    value = {column["name"]: column["kind"] for column in value["columns"]}
                for column, kind in value.items():
                    words += [flag, f"{column}={kind}"]
            elif isinstance(value, bool):
                words.append(flag if value else f"--no-{name.replace('_', '-')}")
            elif isinstance(value, tuple):
                words += [flag, ",".join(value)]
            else:
                words += [flag, str(value)]
        return words
