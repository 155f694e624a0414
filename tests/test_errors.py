import pickle

import pytest

from vgae import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
KINDS = [kind for kind in KINDS if issubclass(kind, errors.VgaeError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_passes_from_one_process_to_another(kind):
    error = pickle.loads(pickle.dumps(kind("CODE", "what, where, how")))
    assert type(error) is kind
    assert (error.code, str(error)) == ("CODE", "what, where, how")


def test_the_status_of_a_signal_passes_too():
    error = errors.Interrupted("INTERRUPTED", "what", 1)
    assert (error.exit_code, pickle.loads(pickle.dumps(error)).exit_code) == (129, 129)
