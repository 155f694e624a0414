import numpy as np
import pytest

import vgae
from vgae.errors import NumericalError


def test_clusters_are_numbered_by_falling_size():
    x = np.repeat([[0.0, 0], [9, 0], [0, 9]], [3, 10, 5], axis=0)
    found = vgae.cluster(x, k=3)
    assert found.sizes.tolist() == [10, 5, 3]
    assert found.labels.tolist() == [2] * 3 + [0] * 10 + [1] * 5


def test_vectors_that_are_not_finite_are_refused():
    with pytest.raises(NumericalError, match="finite"):
        vgae.cluster(np.array([[0.0], [np.nan]]), k=1)
