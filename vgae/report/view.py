"""Presentation of one kind of runs: the interface."""

import pkgutil
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vgae.errors import UsageError
from vgae.report.text import columns
from vgae.runs.kind import FinishedRun, RunKind, kind_of

Layout = Callable[..., Any]  # of a run and a width
SharedLayout = Callable[[Sequence[Any], Sequence[str], float], Any]
_ALIGNED = 48  # letters of a command whose description is in a column with others


class RunView:
    """Text, figures and pages of the runs of one kind; a kind may lack any of them.

    Attributes:
        places: Places of ``page``, ``settings``, ``compare`` (functions, for the methods of these
            names) and ``figures`` as ``"module:attribute"``, which are imported at first use.
    """

    places: ClassVar[Mapping[str, str]] = {}

    def summary(self, run: Any) -> str:
        """Return data, model and scores of a run, as ``vgae train`` prints them."""
        return self.scores(run.metrics)

    def scores(self, scores: Mapping[str, Any]) -> str:
        """Return the result of :meth:`vgae.runs.kind.RunKind.evaluate` as text."""
        return "\n".join(f"{name}: {value}" for name, value in scores.items())

    def commands(self, run: Any) -> Mapping[str, str]:  # noqa: ARG002
        """Return commands that may follow the training, and their descriptions."""
        return {}

    def text(self, run: FinishedRun) -> str:
        """Return all that ``vgae train`` prints about a run."""
        files = kind_of(run.config).files.items()
        written = [[f"  {name}", text] for name, text in files if (run.folder / name).is_file()]
        text = f"{self.summary(run)}\n\nWritten to {run.folder}:\n{columns(written)}"
        if commands := self.commands(run):
            model = str(run.config["model"])  # of your own, it is imported if you name it
            code = f" --code {shlex.quote(model)}" if ":" in model else ""
            lines = {f"{command}{code}": what for command, what in commands.items()}
            # A long command does not push the descriptions of the others to the right.
            width = max([len(line) for line in lines if len(line) <= _ALIGNED], default=0)
            shown = [f"  {line:{width}}  # {what}" for line, what in lines.items()]
            text += "\n\nTry next:\n" + "\n".join(shown)
        return text

    def draw(self, run: Any) -> None:
        """Draw the figures of a run into its folder."""

    def page(self, run: Any, *, top_k: int = 200) -> str:  # noqa: ARG002
        """Return the page about a run, as HTML."""
        return self._function("page", run)(run)

    def settings(self, run: Any) -> list[tuple[str, str]]:
        """Return all settings of a run and the versions, for a comparison."""
        return self._function("settings", run)(run)

    def compare(self, runs: Sequence[Any], names: Sequence[str]) -> Any:
        """Return the :class:`~vgae.report.pages.compared_runs.Compared` of several runs."""
        return self._function("compare", runs[0])(runs, names)

    def figures(self) -> Mapping[str, Layout]:
        """Return the figures for papers: layouts of a run in a given width, by name."""
        return pkgutil.resolve_name(self.places["figures"]) if "figures" in self.places else {}

    def shared_figures(self) -> Mapping[str, SharedLayout]:
        """Return the figures for papers that show one or several runs: layouts by name."""
        return {}

    def drawable(self, run: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the figures for papers that a run has data for."""
        return []

    def _function(self, name: str, run: FinishedRun) -> Callable[..., Any]:
        if name not in self.places:
            title = kind_of(run.config).title
            raise UsageError("REPORT", f"runs on {title} such as {run.folder} have no {name}.")
        return pkgutil.resolve_name(self.places[name])


def view_of(run: Path | Mapping[str, Any] | RunKind[Any]) -> RunView:
    """Return the view of a kind, or of a run, given its folder or its ``config.json``."""
    view = (run if isinstance(run, RunKind) else kind_of(run)).view
    return pkgutil.resolve_name(view) if isinstance(view, str) else view
