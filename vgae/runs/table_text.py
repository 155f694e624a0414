"""Tables of scores as LaTeX and as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vgae.runtime.atomic import replacing
from vgae.runtime.text import p_text

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
}


def escaped(text: str) -> str:
    """Return a text for LaTeX."""
    return "".join(_LATEX.get(character, character) for character in text)


def method_names(table: Any) -> list[list[str]]:
    """Return the names of each row: the data set if there are several, model and recipe."""
    several = len(table.by_dataset) > 1
    return [[*([row.dataset] if several else []), row.name] for row in table]


def latex(table: Any, caption: str | None, label: str) -> str:
    """Return a table for LaTeX; see :meth:`vgae.runs.table_rows.Table.to_latex`."""
    heads, rows = _cells(table, r"\textbf{{{}}}", r" $\pm$ ", escaped)
    num_names = len(heads) - 2 - ("p" in heads)
    text = escaped(f"Link prediction on {_notes(table)}") if caption is None else caption
    heads = ["$p$" if head == "p" else head for head in heads]
    lines = [" & ".join(row) + r" \\" for row in rows]
    lines = [line.replace("< 0.001", "$<$ 0.001") for line in lines]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{text}}}",
            f"  \\label{{{label}}}",
            f"  \\begin{{tabular}}{{{'l' * num_names}{'r' * (len(heads) - num_names)}}}",
            r"    \toprule",
            f"    {' & '.join(heads)} \\\\",
            r"    \midrule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def markdown(table: Any) -> str:
    """Return a table in Markdown; see :meth:`vgae.runs.table_rows.Table.to_markdown`."""
    heads, rows = _cells(table, "**{}**", " ± ", _in_cell)
    num_names = len(heads) - 2 - ("p" in heads)
    rule = ["---"] * num_names + ["--:"] * (len(heads) - num_names)
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows)]
    return "\n".join([*lines, "", _notes(table), ""])


def write(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def _in_cell(text: str) -> str:
    for character in "\\|*_`<[":
        text = text.replace(character, f"\\{character}")
    return text


def _notes(table: Any) -> str:
    """Return the graphs, the protocol and the tests of a table."""
    graphs = ", ".join(dict.fromkeys(row.dataset for row in table))
    tests = f" {table.tests} Each p is of the AUC, against the best row." if table.tests else ""
    return f"{graphs}. {table.protocol}{tests} Bold: the highest mean."


def _cells(
    table: Any, bold: str, plus_minus: str, safe: Any
) -> tuple[list[str], Sequence[list[str]]]:
    """Return the heads of the columns, and the cells of each row, with the best scores bold."""
    several = len(table.by_dataset) > 1
    best = {
        (id(row), k): row.mean[k] >= max(other.mean[k] for other in rows)
        for rows in table.by_dataset
        for row in rows
        for k in (0, 1)
    }
    p_best = table.columns()["p_best"]
    has_p = any(p is not None for p in p_best)
    heads = [*(["graph"] if several else []), "method", "AUC", "AP", *(["p"] if has_p else [])]
    found = []
    for row, names, p in zip(table, method_names(table), p_best, strict=True):
        scores = []
        for k, (m, d) in enumerate(zip(row.mean, row.deviation, strict=True)):
            value = f"{100 * m:.2f}"
            value = bold.format(value) if best[id(row), k] else value
            scores.append(value + (f"{plus_minus}{100 * d:.2f}" if len(row.trials) > 1 else ""))
        last = [("" if p is None else p_text(p))] if has_p else []
        found.append([*map(safe, names), *scores, *last])
    return heads, found
