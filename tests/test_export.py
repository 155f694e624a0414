import csv

import numpy as np
import pytest
import torch

from vgae.errors import UsageError
from vgae.export import write_embeddings
from vgae.gaussian import DiagGaussian, PointMass

IDS = ["plain", "a,b", 'say "hi"', "two\nlines", "=1+1", "-x", "Zürich"]


@pytest.fixture
def q(generator):
    mu, logvar = torch.randn(2, len(IDS), 3, generator=generator)
    return DiagGaussian(mu, logvar)


def test_npz_brings_back_names_means_and_log_variances_bit_for_bit(q, tmp_path):
    write_embeddings(tmp_path / "e.npz", IDS, q)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert file["ids"].tolist() == IDS
        assert np.array_equal(file["mu"], q.mu.numpy())
        assert np.array_equal(file["logvar"], q.logvar.numpy())


def test_a_point_mass_has_no_log_variance(q, tmp_path):
    write_embeddings(tmp_path / "e.npz", range(7), PointMass(q.mu))
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["ids", "mu"]
        assert file["ids"].tolist() == list(range(7))


def test_npy_is_the_means(q, tmp_path):
    write_embeddings(tmp_path / "e.npy", IDS, q)
    assert np.array_equal(np.load(tmp_path / "e.npy", allow_pickle=False), q.mu.numpy())


def test_csv_brings_back_every_name_and_number_and_runs_no_formula(q, tmp_path):
    write_embeddings(tmp_path / "e.csv", IDS, q)
    with (tmp_path / "e.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "z_0", "z_1", "z_2"]
    guarded = ["'" + i if i[0] in "=-" else i for i in IDS]
    assert [row[0] for row in rows] == guarded
    numbers = np.array([row[1:] for row in rows], dtype=np.float32)
    assert np.array_equal(numbers, q.mu.numpy())


def test_another_suffix_is_refused_and_nothing_is_written(q, tmp_path):
    with pytest.raises(UsageError, match=r"must end in one of .npz, .npy, .csv, got '.txt'"):
        write_embeddings(tmp_path / "e.txt", IDS, q)
    assert list(tmp_path.iterdir()) == []
