"""A browser, and a run on a graph with hostile names of nodes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from vgae.data.files import write_npz
from vgae.graphs.graph import Graph
from vgae.recipes import PAPER
from vgae.report.pages.frame import write_page
from vgae.report.pages.graphs import graph_page
from vgae.runs.graphs import train_run

HOSTILE = [
    "</script><script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "a\u202egnp.exe",
    "<b>bold</b>",
    "javascript:document.title='taken'",
    "<a href=\"javascript:document.title='taken'\">link</a>",
]
# Nothing that the browser does by itself may look like a request of the page.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    """Chromium, or a skip with the reason."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_path(tmp_path_factory):
    """The page of a small run with hostile names of nodes, labels and graph."""
    rng = np.random.default_rng(0)
    names = [*HOSTILE, *(f"node-{k}" for k in range(len(HOSTILE), 60))]
    community = np.arange(60) % 3
    chance = np.where(community[:, None] == community, 0.4, 0.03)
    edges = np.stack(np.nonzero(np.triu(rng.random((60, 60)) < chance, k=1)))
    graph = Graph.from_edges(
        edges, node_ids=names, y=community, label_names=["<i>one</i>", "two", "three"], name="<u>"
    )
    folder = tmp_path_factory.mktemp("page")
    write_npz(graph, folder / "graph.npz")
    run = train_run(str(folder / "graph.npz"), folder / "run", recipe=replace(PAPER, epochs=40))
    write_page(folder / "report.html", graph_page(run, top_k=40))
    return folder / "report.html"


@pytest.fixture(scope="session")
def opened(browser):
    """Open a page; ``page.complaints`` lists its requests, errors and messages.

    Opening takes seconds, so several tests use a page that they do not change for good.
    """
    contexts = []

    def open_page(path, *, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []

        def route(handler):
            if handler.request.url.startswith("file:"):
                handler.continue_()
            else:
                page.complaints.append(f"request: {handler.request.url}")
                handler.abort()

        context.route("**/*", route)
        page.on("console", lambda message: page.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: page.complaints.append(f"dialog: {dialog.message}"))
        if options.get("java_script_enabled", True):
            page.add_init_script(
                "document.addEventListener('securitypolicyviolation', (event) =>"
                " console.error('policy', event.violatedDirective, event.blockedURI))"
            )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
