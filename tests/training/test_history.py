import pytest

from vgae.training.history import HistoryRow, checked_row, row_text

ROW = HistoryRow(epoch=5, loss=0.5, recon=8.0, kl=1.0, val_auc=0.91, val_ap=0.92)


def test_a_row_in_words_has_its_scores_first_and_its_parts_per_pair_of_nodes():
    assert row_text([ROW], 16) == "val AUC 91.0 AP 92.0 loss 0.500 recon 0.500 KL 0.062"
    images = HistoryRow(epoch=5, loss=105.31, recon=8012.0, kl=2510.0, val_elbo=-104.217)
    assert row_text([images], 100) == "val ELBO -104.22 loss 105.3 recon 80.1 KL 25.1"


def test_between_two_looks_at_validation_the_last_scores_stay():
    later = HistoryRow(epoch=6, loss=0.25, recon=4.0, kl=0.0)
    assert row_text([ROW, later], 16) == "val AUC 91.0 AP 92.0 loss 0.250 recon 0.250 KL 0.000"


def test_before_the_first_row_there_is_nothing_to_say():
    assert row_text([], 16) == ""


def test_a_row_of_a_file_must_be_numbers():
    assert checked_row(ROW) is ROW
    with pytest.raises(ValueError, match="not numbers"):
        checked_row(ROW._replace(loss="0.5"))
