"""Two on one folder: the second is turned away, and the first does not notice."""

import bluetick


def test_a_second_one_on_the_same_folder_is_turned_away_and_takes_nothing(emulator, tmp_path):
    with bluetick.Serve(emulator, tmp_path, bluetick.free_port(), name="serve-first") as first:
        first.wait_ready()
        second = bluetick.Serve(emulator, tmp_path, bluetick.free_port(), name="serve-second")
        code = second.child.wait(bluetick.PATIENCE)
        assert code == 69, second.last_words()
        assert "another bluetick" in second.last_words()
        # The socket beside the data file is still the first one's.
        code, said = bluetick.run("status", "--data", tmp_path)
        assert code == 0 and first.url in said, said
        assert first.stop() == 0
    assert not (tmp_path / "bluetick.sock").exists()
