from vgae.runs.commands import EmbeddingOptions, EvaluationOptions


def test_the_defaults_are_those_of_the_commands():
    assert EvaluationOptions() == EvaluationOptions(("links",), "train", 0, None)
    assert EmbeddingOptions() == EmbeddingOptions(None, "raw", "train")
