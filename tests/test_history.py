from vgae.history import HistoryRow, progress_bar

ROW = HistoryRow(epoch=5, loss=0.5, recon=8.0, kl=1.0, val_auc=0.91, val_ap=0.92)


def test_the_bar_shows_the_last_row_per_pair_of_nodes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bar(10, 16, wanted=True) as show:
        show(5, [ROW])
    printed = capsys.readouterr()
    assert "loss 0.5000 (recon 0.500 KL 0.062) val AUC 91.0 AP 92.0" in printed.err
    assert "5/10" in printed.err
    assert printed.out == ""


def test_without_a_terminal_nothing_is_drawn(capsys):
    with progress_bar(10, 16, wanted=None) as show:
        show(5, [ROW])
    assert capsys.readouterr().err == ""
