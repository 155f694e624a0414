"""Arguments and options of the commands, and their messages on stderr."""

import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.data.reading import Reading
from vgae.errors import UsageError
from vgae.models.registry import model_names
from vgae.recipes import DEFAULT, PAPER, RECIPES, Recipe
from vgae.recipes.images import IMAGE_RECIPES, KERAS2D, SMALL2D

if TYPE_CHECKING:
    from vgae.runs.kind import RunKind

GraphArgument = Annotated[
    str,
    typer.Argument(
        help="Name of a data set (see 'vgae datasets list'; also pyg:Planetoid/Cora), or a file:"
        " an edge list (.csv, .tsv, .txt, .parquet), .graphml, .gexf, .gml, .json, .net, .npz,"
        " .npy, .mtx, .mat, .h5ad; a folder of OGB and others; many graphs in a folder or .zip of"
        " TU, a folder of such files, .jsonl or .pt of PyG; of images .npz, .npy or a folder."
    ),
]
OtherGraph = Annotated[
    str | None,
    typer.Argument(
        metavar="GRAPH",
        help="Another graph with the same features  [default: that of RUN]",
        show_default=False,
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="Run folder, as 'vgae train' wrote it.")]
GraphFeatures = Annotated[
    str,
    typer.Option(
        "--features",
        help="'raw'; 'none' for the links alone; or a file with a row for each node: .npy, .npz or"
        " a table (.csv, .tsv, .txt, .parquet, .feather; see --encode), or a folder of .npy (rows"
        " in the order of the names); those above 64 MB in .npy, or in a .npz of vgae convert,"
        " stay in their file and are read in blocks; or one for each side of a two-sided"
        " graph: users.csv,items.csv.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]

_FIELDS = [field.name for field in fields(Recipe)]

Readout = Annotated[
    str,
    typer.Option(
        help="Vector of a graph from those of its nodes: 'mean', 'sum', 'attention' (certain nodes"
        " count more) or 'moments' (means of values and of their squares)."
    ),
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help=f"Change a field of the recipe: {', '.join(_FIELDS)}.",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Short for --set epochs=N.")]
Device = Annotated[str, typer.Option(help="'auto', 'cpu', 'cuda', 'cuda:1'.")]
Pairs = Annotated[
    str | None,
    typer.Option(
        help="'exact', 'sampled' or 'auto', short for --set pairs=...", show_default=False
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help=f"{', '.join(model_names())}; MODULE:NAME for an encoder of your own, such as"
        " gat:make for make in gat.py; for images vae or ae  [default: vgae; for a directed graph"
        " source-target-vgae; vae]",
        show_default=False,
    ),
]
TrainRecipe = Annotated[
    str | None,
    typer.Option(
        help=f"Named settings: {', '.join(RECIPES)}; for images {', '.join(IMAGE_RECIPES)}; see"
        f" --set  [default: {DEFAULT.name}, of typed graphs {PAPER.name}; {KERAS2D.name} or,"
        f" for few images, {SMALL2D.name}]",
        show_default=False,
    ),
]
SplitSeed = Annotated[
    int, typer.Option(min=0, help="Seed of the split, the initial weights and the noise.")
]
Val = Annotated[float, typer.Option(help="Fraction of the links for validation.")]
Test = Annotated[float, typer.Option(help="Fraction of the links for test.")]
Split = Annotated[
    Path | None,
    typer.Option(
        help="A split of your own in place of --val and --test: .npz, a run, or a folder of text,"
        " .npy or .pt files such as train_pos.txt, valid_neg.txt."
    ),
]
Task = Annotated[
    str,
    typer.Option(
        help="Held-out links of a directed graph: 'general', 'biased' (against their reverses) or"
        " 'bidirectional' (one direction of each reciprocal link)."
    ),
]
SplitBy = Annotated[
    str,
    typer.Option(help="What is held out of many graphs: 'links', or whole 'graphs'."),
]
SplitByTime = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Hold out the last links by the time in this column of the edge list.",
    ),
]
Relation = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of the edge list with the name of the relation of each edge: trains an"
        " rgcn-vgae, which has scores for each relation.",
    ),
]
CudaGraph = Annotated[
    bool | None,
    typer.Option(
        "--cuda-graph/--no-cuda-graph",
        help="Whether an epoch on a GPU is launched as a whole. [default: where possible]",
    ),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Same bits each time on a GPU too, or an error.")
]
NewRun = Annotated[
    Path | None, typer.Option("--out", "-o", help="Run folder  [default: runs/GRAPH-MODEL-N]")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an old run.")]
Resume = Annotated[
    Path | None,
    typer.Option(
        help="Continue this interrupted run with its own settings; other options must have the"
        " same values, except --epochs and options that do not change the result. With GRAPH,"
        " begin the run if it does not exist."
    ),
]
Override = Annotated[
    bool, typer.Option("--override", help="With --resume: let --set change other fields.")
]
Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Short for --track tensorboard: RUN/tensorboard.")
]
Propose = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Also write the N best missing links to RUN/links.csv, and attributes and embedding"
        " of each node to RUN/nodes.csv.",
        show_default=False,
    ),
]

AllowSeen = Annotated[
    bool,
    typer.Option(
        "--allow-seen", help="Use a split although the model may have seen its held-out links."
    ),
]


READING = {
    "format": Annotated[
        str | None, typer.Option(help="Format of GRAPH, such as csv  [default: its suffix]")
    ],
    "columns": Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Columns of the edge list: 'from,to,cost' under a header; without one, a name for"
            " each column, such as 'source,relation,target'  [default: detected]",
            show_default=False,
        ),
    ],
    "weight": Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column of the weights, or 'none'  [default: detected]"
        ),
    ],
    "graph_column": Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column of the edge list, and of --features, with the graph."
        ),
    ],
    "graph_labels": Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Table of labels of many graphs: graph,label."),
    ],
    "id_column": Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column of --features with the names  [default: detected]"
        ),
    ],
    "label_column": Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of --features with labels.")
    ],
    "encode": Annotated[
        list[str],
        typer.Option(
            metavar="auto|COLUMN=KIND",
            help="'auto' makes numbers of categories, dates, truth values and missing cells;"
            " COLUMN=KIND (number, boolean, category, date, hash or drop) does so for one column.",
        ),
    ],
    "missing_features": Annotated[
        str, typer.Option(help="Nodes without features: refuse, zero, mean; impute, also cells.")
    ],
    "delimiter": Annotated[
        str | None, typer.Option(help="Delimiter of an edge list in text  [default: detected]")
    ],
    "header": Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="The first line of the edge list names the columns  [default: detected]",
            show_default=False,
        ),
    ],
    "comment": Annotated[
        str | None,
        typer.Option(metavar="CHARACTER", help="Begin of comments, or 'none'  [default: # and %]"),
    ],
    "encoding": Annotated[str, typer.Option(help="Encoding of text files.")],
    "sides": Annotated[
        str,
        typer.Option(
            help="Two sides of nodes, such as users and items: 'auto' detects them, 'columns' are"
            " those of the edge list (equal names are two nodes), 'none'; or an attribute of the"
            " nodes."
        ),
    ],
    "two_sided": Annotated[bool, typer.Option("--two-sided", help="Short for --sides columns.")],
    "directed": Annotated[
        str,
        typer.Option(
            help="One-way edges: 'symmetrize' turns them into links, 'keep' keeps their direction,"
            " or 'error'."
        ),
    ],
    "merge": Annotated[
        str, typer.Option(help="Weight of a repeated link: 'mean', 'sum', 'max', 'first'.")
    ],
    "drop_zero": Annotated[
        bool, typer.Option("--drop-zero", help="Leave out edges of weight zero.")
    ],
    "signed": Annotated[
        bool,
        typer.Option("--signed", help="Weights may be negative: links have signs, + or -."),
    ],
    "normalize": Annotated[
        str, typer.Option(help="'nfc' merges names that differ only in Unicode normalisation.")
    ],
}
"""Options of reading: fields of :class:`vgae.data.reading.Reading`."""


def with_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter ``reading`` of a command by an option for each field of it."""
    from inspect import Parameter, signature

    @wraps(command)
    def wrapped(**given: Any) -> None:
        found = reading_of({name: given.pop(name) for name in READING})
        command(reading=found, **given)

    own = signature(command, eval_str=True).parameters.values()
    kind = Parameter.KEYWORD_ONLY
    defaults = {field.name: field.default for field in fields(Reading)} | {"encode": []}
    parameters = [p.replace(kind=kind) for p in own if p.name != "reading"] + [
        Parameter(name, kind, default=defaults[name], annotation=annotation)
        for name, annotation in READING.items()
    ]
    wrapped.__signature__ = signature(command).replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def reading_of(given: Mapping[str, Any]) -> Reading:
    """Return the options of reading from their values on the command line."""
    options = dict(given)
    if (columns := options.get("columns")) is not None:
        options["columns"] = tuple(name.strip() for name in columns.split(","))
    if "encode" in options:
        kinds = dict(text.rpartition("=")[::2] for text in options["encode"] if text != "auto")
        if "" in kinds:
            raise UsageError(
                "ENCODE", f"--encode must be 'auto' or COLUMN=KIND, got {kinds['']!r:.60}."
            )
        options["encode"] = kinds or ("auto" if options["encode"] else "none")
    return Reading.of(options)


class _ToStderr(logging.Handler):
    """Handler that writes to the current stderr, above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(self.format(record), file=sys.stderr)


def announce(*, quiet: bool) -> None:
    """Log the messages of the package to stderr."""
    if not quiet:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_ToStderr()])
        logging.getLogger("vgae").setLevel(logging.INFO)


def given_options(context: typer.Context) -> dict[str, Any]:
    """Return the options and arguments on the command line, by the names of the parameters."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {
        name: context.params[name]
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    }


def refuse_options(
    context: typer.Context, names: Collection[str], code: str, why: str, where: str = ""
) -> None:
    """Raise ``UsageError`` if one of some options is on the command line.

    Args:
        context: Context of the command.
        names: Names of parameters.
        code: Code of the error.
        why: Text before the options in the message: ``"a run on images has no"``.
        where: Text after "leave that out".
    """
    given = given_options(context).keys() & names
    flags = [
        param.opts[0] if param.param_type_name == "option" else param.metavar
        for param in context.command.params
        if param.name in given
    ]
    if flags:
        raise UsageError(code, f"{why} {', '.join(map(str, flags))}; leave that out{where}.")


def check_options(context: typer.Context, kind: "RunKind[Any]", source: object) -> None:
    """Raise ``UsageError`` if an option is given that only other kinds of runs have.

    Args:
        context: Context of the command.
        kind: Kind of the run.
        source: Name or path of its data, or its folder.
    """
    from vgae.runs.kind import kinds

    special = {name for other in kinds() for name in other.options} - {*kind.options}
    why = f"a run on {kind.title} has no"
    refuse_options(context, special, kind.name.upper(), why, f" for {source}")


def changes_of(settings: Sequence[str], **short: object) -> dict[str, str]:
    """Return the changes by ``--set`` and by its short options: text by field."""
    changes = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError("RECIPE", f"--set must be FIELD=VALUE, got {setting!r}.")
        changes[field] = value
    return changes | {field: str(value) for field, value in short.items() if value is not None}


def names(text: str) -> list[str]:
    """Return the names in a text, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def import_code(models: Sequence[str]) -> None:
    """Import the models on the command line that are code: MODULE:NAME."""
    if paths := [name for name in models if ":" in name]:
        from vgae.models.own import use_code

        for path in paths:
            use_code(path)
