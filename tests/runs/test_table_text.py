import pytest

from vgae.evaluation.metrics import LinkScores
from vgae.runs.table_rows import Table, summarise
from vgae.runs.table_text import escaped
from vgae.runs.trials import Trial


def table_of(datasets=("cora",), seeds=2, models=("my_gae", "gat:make")):
    trials = []
    for dataset in datasets:
        for place, model in enumerate(models):
            for seed in range(seeds):
                scores = LinkScores(0.8 + 0.05 * place + 0.01 * seed, 0.9 - 0.1 * place)
                how = dataset, model, seed, "paper", scores, scores, 5, 5, 0.1, dataset
                trials.append(Trial(*how, f"split {seed}", "paper"))
    return Table(summarise(trials, "raw"), "85 % & more.")


def test_latex_has_booktabs_escaped_names_and_bold_best_scores():
    text = table_of().to_latex()
    for part in (
        r"\toprule",
        r"\bottomrule",
        r"\begin{tabular}{lrrr}",
        r"method & AUC & AP & $p$ \\",
        r"my\_gae, paper & 80.50 $\pm$ 0.71 & \textbf{90.00} $\pm$ 0.00 & $<$ 0.001 \\",
        r"gat:make, paper & \textbf{85.50} $\pm$ 0.71 & 80.00 $\pm$ 0.00 &  \\",
        r"\caption{Link prediction on cora. 85 \% \& more. p: corrected resampled t-test",
        r"Each p is of the AUC, against the best row. Bold: the highest mean.}",
        r"\label{tab:links}",
    ):
        assert part in text
    other = table_of().to_latex(caption=r"Mine: $\alpha$.", label="tab:a")
    assert r"\caption{Mine: $\alpha$.}" in other
    assert r"\label{tab:a}" in other


def test_several_graphs_have_a_column_and_one_seed_no_deviation():
    text = table_of(("cora", "a|b"), seeds=1, models=("gae",)).to_markdown()
    lines = text.splitlines()
    assert lines[0] == "| graph | method | AUC | AP |"
    assert lines[1] == "| --- | --- | --: | --: |"
    assert lines[3] == r"| a\|b | gae, paper | **80.00** | **90.00** |"
    assert lines[5].startswith("cora, a|b. 85 %")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        (
            "50 % of $x_1$ & #2 ~ ^",
            r"50 \% of \$x\_1\$ \& \#2 \textasciitilde{} "
            r"\textasciicircum{}",
        ),
    ],
)
def test_a_name_is_no_command_of_latex(text, expected):
    assert escaped(text) == expected
