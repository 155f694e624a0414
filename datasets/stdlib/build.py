"""Build the `stdlib` graph: the modules of Python's standard library and their imports.

Nodes are modules, a link is an import between two of them in either direction, features are
binary words from identifiers and docstrings, labels are fields of the Library Reference.
Sources are parsed with `ast` and never imported; the same files give the same bytes.

    python build.py [--stdlib FOLDER] [-o stdlib.npz]

The data card, `README.md`, explains the choices.
"""

import argparse
import ast
import json
import platform
import re
import sys
import sysconfig
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

FORMAT = "vgae-graph-1"
NAME = "stdlib"
OUT = Path(__file__).with_name("stdlib.npz")

# A word is kept if at least MIN_MODULES modules have it, and at most MAX_SHARE of all do.
MIN_LETTERS = 3
MIN_MODULES = 10
MAX_SHARE = 0.1

# Letters only: `HTTPServer_2` gives `HTTP` and `Server`.
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Folders and modules that are no part of the library proper, by the last part of their name.
EXCLUDED = frozenset(
    (
        *("test", "tests", "idle_test"),
        *("site-packages", "dist-packages", "_bundled", "turtledemo"),
        *("__hello__", "__phello__", "antigravity", "this"),
        "msilib",  # Installed on Windows only.
    )
)
EXCLUDED_PREFIX = "_sysconfigdata"  # Written for one machine when Python is compiled.
GENERATED = "gencodec.py"  # Named in the docstring of a table that this script wrote.

# Chapters of the Library Reference, those of few modules joined, and the largest packages on
# their own. A module belongs to the longest entry that is its name or one of its parents.
FIELDS = {
    "archives and file formats": """
        _compression bz2 configparser csv gzip lzma netrc plistlib tarfile tomllib xdrlib
        zipfile""",
    "asyncio": "asyncio",
    "concurrency": """
        _threading_local concurrent contextvars multiprocessing queue sched subprocess
        threading""",
    "data types": """
        _collections_abc _strptime _weakrefset bisect calendar collections copy datetime enum
        graphlib heapq pprint reprlib types weakref zoneinfo""",
    "development tools": """
        bdb cProfile doctest pdb profile pstats pydoc pydoc_data timeit trace tracemalloc
        typing unittest""",
    "email and internet data": "base64 email json mailbox mailcap mimetypes quopri uu",
    "files and persistence": """
        _compat_pickle copyreg dbm filecmp fileinput fnmatch genericpath glob linecache
        ntpath nturl2path pathlib pickle posixpath shelve shutil sqlite3 stat tempfile""",
    "graphical interfaces": "cmd shlex tkinter turtle",
    "idlelib": "idlelib",
    "internet protocols": """
        cgi cgitb ftplib http imaplib ipaddress nntplib poplib smtpd smtplib socketserver
        telnetlib urllib uuid webbrowser wsgiref xmlrpc""",
    "language services": """
        ast compileall dis keyword opcode pickletools py_compile pyclbr symtable tabnanny
        token tokenize""",
    "lib2to3": "lib2to3",
    "markup": "_markupbase html xml",
    "multimedia": "aifc chunk colorsys imghdr sndhdr sunau wave",
    "networking and security": """
        asynchat asyncore crypt hashlib hmac secrets selectors signal socket ssl""",
    "numeric and functional": """
        _pydecimal decimal fractions functools numbers operator random statistics""",
    "operating system": """
        _aix_support _osx_support _pyio argparse ctypes curses getopt getpass io logging
        optparse os pipes platform pty tty""",
    "packaging": "_bootsubprocess distutils ensurepip venv zipapp",
    "runtime and importing": """
        __future__ _py_abc _sitebuiltins abc code codeop contextlib dataclasses imp importlib
        inspect modulefinder pkgutil runpy site sysconfig traceback warnings zipimport""",
    "text and codecs": """
        codecs difflib encodings gettext locale re rlcompleter sre_compile sre_constants
        sre_parse string stringprep struct textwrap""",
}
OTHER = "other"
FIELD_OF = {entry: field for field, entries in FIELDS.items() for entry in entries.split()}

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom
Naming = ast.Name | ast.Attribute | ast.arg | ast.keyword
LookedAt = ast.Module | Definition | Import | Naming


class Source(NamedTuple):
    """One parsed module.

    `package` is the dotted name that relative imports start from; `nodes` are the parts of the
    syntax tree that are looked at, from any depth.
    """

    package: str
    nodes: Sequence[ast.AST]


class Bags(NamedTuple):
    """Words kept, sorted, and for each module the sorted columns of the words it has."""

    words: list[str]
    columns: list[list[int]]


def is_library(name: str) -> bool:
    """Say whether a file or folder of this name, without suffix, can hold library modules."""
    return name.isidentifier() and name not in EXCLUDED and not name.startswith(EXCLUDED_PREFIX)


def find_modules(folder: Path, package: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the file of each module below a folder.

    A folder is entered only if it is a package, that is if it has an `__init__.py`.
    """
    for path in sorted(folder.iterdir()):
        if not is_library(path.stem):
            continue
        name = f"{package}.{path.stem}" if package else path.stem
        if (path / "__init__.py").is_file():
            yield from find_modules(path, name)
        elif path.name == "__init__.py" and package:
            yield package, path
        elif path.suffix == ".py" and path.stem != "__init__":
            yield name, path


def read_sources(folder: Path) -> tuple[dict[str, Source], list[str]]:
    """Parse every module below a folder.

    Args:
        folder: The standard library, for instance `/usr/lib/python3.11`.

    Returns:
        The modules by dotted name, sorted; and the names of those that do not parse.
    """
    sources, unreadable = {}, []
    for name, path in sorted(find_modules(folder)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Invalid escapes in old sources.
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            unreadable.append(name)
            continue
        if GENERATED not in (ast.get_docstring(tree) or ""):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            nodes = [node for node in ast.walk(tree) if isinstance(node, LookedAt)]
            sources[name] = Source(package, nodes)
    return sources, unreadable


def absolute_base(node: ast.ImportFrom, package: str) -> str:
    """Return the absolute dotted name that `from <name> import ...` starts from.

    Empty if a relative import climbs out of its top-level package, which Python refuses.
    """
    if node.level == 0:
        return node.module or ""
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return ""
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def nearest(name: str, modules: dict[str, Source]) -> str:
    """Return the longest leading part of a dotted name that is a module here, or nothing.

    `os.path` gives `os`; `sys`, which has no source, gives the empty string.
    """
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def replaces_submodule(package: Source, name: str) -> bool:
    """Say whether a package imports under the name of a submodule something from elsewhere.

    `unittest` does: `from .main import main` makes `unittest.main` a class for its users.
    """
    return any(
        name == (alias.asname or alias.name)
        for node in package.nodes
        if isinstance(node, ast.ImportFrom)
        and absolute_base(node, package.package) != package.package
        for alias in node.names
    )


def imported_modules(source: Source, modules: dict[str, Source]) -> Iterator[str]:
    """Yield what the import statements of a module name, wherever they stand in it.

    `from a import b` names `a.b` where that is a module and `a` otherwise.
    """
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield nearest(alias.name, modules)
        elif isinstance(node, ast.ImportFrom) and (base := absolute_base(node, source.package)):
            for alias in node.names:
                full = f"{base}.{alias.name}"
                is_module = full in modules and not (
                    base in modules and replaces_submodule(modules[base], alias.name)
                )
                yield full if is_module else nearest(base, modules)


def find_links(modules: dict[str, Source]) -> list[tuple[int, int]]:
    """Return the undirected links `(u, v)`, `u < v`, each once, in ascending order."""
    number = {name: i for i, name in enumerate(modules)}
    links = set()
    for name, source in modules.items():
        for target in imported_modules(source, modules):
            if target and target != name:
                u, v = sorted((number[name], number[target]))
                links.add((u, v))
    return sorted(links)


def imported_names(nodes: Sequence[ast.AST]) -> set[str]:
    """Return every name that stands in an import statement: dotted parts, names, aliases."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names.update((node.module or "").split("."))
        if isinstance(node, Import):
            for alias in node.names:
                names.update(alias.name.split("."), [alias.asname or ""])
    return names - {""}


def head(node: ast.expr) -> str:
    """Return `a` for the expression `a.b.c`, and nothing where no plain name is at its head."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def identifiers(nodes: Sequence[ast.AST], named: set[str]) -> Iterator[str]:
    """Yield the names of variables, attributes, functions, classes, arguments and keywords.

    Attributes of something imported are left out: `re.compile` is a word of `re`, not of its
    user.
    """
    for node in nodes:
        match node:
            case ast.Attribute(attr=name) if head(node) not in named:
                yield name
            case ast.Name(id=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name


def docstrings(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the docstrings of a module and of its classes and functions."""
    for node in nodes:
        if isinstance(node, ast.Module | Definition):
            yield ast.get_docstring(node, clean=False) or ""


def split_words(text: str) -> set[str]:
    """Return the lowercased words of a text or identifier; too short ones are left out."""
    return {word.lower() for word in WORD.findall(text) if len(word) >= MIN_LETTERS}


def module_words(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the words of a module, less every word of its own import statements.

    `import socket` puts `socket` into the code and often into its docstrings; as a feature it
    would say which links the module has.
    """
    named = imported_names(nodes)
    texts = [*identifiers(nodes, named), *docstrings(nodes)]
    return split_words(" ".join(texts)) - split_words(" ".join(named))


def bag_of_words(modules: dict[str, Source]) -> Bags:
    """Give each module its words that are neither rare nor common."""
    bags = [module_words(source.nodes) for source in modules.values()]
    spread = Counter(word for bag in bags for word in bag)
    most = MAX_SHARE * len(bags)
    words = sorted(word for word, count in spread.items() if MIN_MODULES <= count <= most)
    column = {word: j for j, word in enumerate(words)}
    return Bags(words, [sorted(column[word] for word in bag if word in column) for bag in bags])


def field_of(name: str) -> str:
    """Return the field of a module: that of the nearest parent with an entry in `FIELDS`."""
    while name and name not in FIELD_OF:
        name = name.rpartition(".")[0]
    return FIELD_OF.get(name, OTHER)


def pack(modules: dict[str, Source]) -> dict[str, np.ndarray]:
    """Return the arrays of the graph file; their meaning is in the data card."""
    links, (words, columns) = find_links(modules), bag_of_words(modules)
    fields = [field_of(name) for name in modules]
    label_names = sorted(set(fields))
    indptr = np.cumsum([0, *map(len, columns)])
    return {
        "format": np.array(FORMAT),
        "name": np.array(NAME),
        "num_nodes": np.array(len(modules), dtype=np.int64),
        "edges": np.array(links, dtype=np.int32).reshape(-1, 2).T.copy(),
        "x_indptr": indptr.astype(np.int32),
        "x_indices": np.array([j for row in columns for j in row], dtype=np.int32),
        "x_data": np.ones(indptr[-1], dtype=np.float32),
        "x_shape": np.array([len(modules), len(words)], dtype=np.int64),
        "feature_names": np.array(words, dtype=np.str_),
        "y": np.array([label_names.index(field) for field in fields], dtype=np.int64),
        "label_names": np.array(label_names, dtype=np.str_),
        "node_ids": np.array(list(modules), dtype=np.str_),
    }


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as `numpy.savez_compressed` does, but with no trace of time or system."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            member = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix, which zipfile would else write on Unix only.
            with archive.open(member, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def count_components(num_nodes: int, links: list[tuple[int, int]]) -> int:
    """Return the number of connected components, isolated nodes among them."""
    parent = list(range(num_nodes))

    def root(node: int) -> int:
        while parent[node] != node:
            node = parent[node]
        return node

    for u, v in links:
        parent[root(u)] = root(v)
    return sum(node == above for node, above in enumerate(parent))


def summarise(arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the counts that the data card prints."""
    num_nodes, edges = int(arrays["num_nodes"]), arrays["edges"]
    labels = Counter(arrays["label_names"][arrays["y"]].tolist())
    return {
        "nodes": num_nodes,
        "links": edges.shape[1],
        "isolated": num_nodes - np.unique(edges).size,
        "components": count_components(num_nodes, edges.T.tolist()),
        "features": arrays["feature_names"].size,
        "words": arrays["x_indices"].size,
        "without_words": int((np.diff(arrays["x_indptr"]) == 0).sum()),
        "mean_degree": round(2 * edges.shape[1] / num_nodes, 2),
        "labels": dict(sorted(labels.items())),
        "other": labels[OTHER],
    }


def main(argv: list[str] | None = None) -> None:
    """Build the graph, write it, and print its counts as one line of JSON."""
    parser = argparse.ArgumentParser(description="Build the stdlib graph.")
    stdlib = Path(sysconfig.get_path("stdlib"))
    parser.add_argument("--stdlib", type=Path, default=stdlib, help="folder to read")
    parser.add_argument("-o", "--out", type=Path, default=OUT, help="file to write")
    args = parser.parse_args(argv)
    modules, unreadable = read_sources(args.stdlib) if args.stdlib.is_dir() else ({}, [])
    if not modules:
        parser.error(f"--stdlib must be a folder of Python modules, got {args.stdlib}.")
    arrays = pack(modules)
    write_npz(args.out, arrays)
    for name in unreadable:
        print(
            f"skipped {name}: Python {platform.python_version()} cannot parse it", file=sys.stderr
        )
    print(json.dumps(summarise(arrays) | {"skipped": len(unreadable)}))


if __name__ == "__main__":
    main()
