import pytest

from vgae import fit, split_links
from vgae.errors import UsageError
from vgae.runtime.devices import Compute

# On a GPU, real or pretended: tests/test_gpu.py.


def test_without_a_gpu_it_is_refused(sbm):
    with pytest.raises(UsageError, match="cuda_graph needs a GPU, and this runs on cpu"):
        fit(sbm, split_links(sbm), device=Compute("cpu", cuda_graph=True))
