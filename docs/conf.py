"""Settings of the documentation: `make docs` builds it, and takes every warning for an error."""

import sys
from pathlib import Path
from typing import Any

from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import vgae

project = "vgae"
author = "the vgae developers"
release = version = vgae.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_llm.txt",
]
exclude_patterns = ["_build"]
# Names that are public in two places; levels of headings of the files that pages include.
suppress_warnings = ["ref.python", "myst.header"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

# llms.txt, and beside each page its twin in Markdown.
llms_txt_description = "Variational graph auto-encoders: node embeddings and missing links."
llms_txt_suffix_mode = "replace"
llms_txt_suppress_unknown_node_warnings = ["abbreviation", "caption"]

html_theme = "furo"
html_title = f"vgae {version}"
html_show_copyright = False


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Link a public name to its entry, wherever the docstring says that it is.

    Names without an entry stay text: those of other packages and internal ones. That each name of
    this package exists is tested by ``tests/test_docs.py``.
    """
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects
    short = node["reftarget"].removeprefix("vgae.")
    home = vgae._HOME.get(short.split(".")[0])
    for name in (f"{home}.{short}", f"vgae.{short}", f"{node.get('py:module')}.{short}"):
        if name in objects:
            entry = objects[name]
            where = node["refdoc"], entry.docname, entry.node_id
            return make_refnode(app.builder, *where, contnode)
    return contnode


def skip(app: Any, kind: str, name: str, *_: Any) -> bool | None:
    """Skip scikit-learn's methods for routing, whose docstrings link to its own pages."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app: Any) -> None:
    """Connect both."""
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", resolve)
