"""Keys of a backup come back where there are none, and never take the place of others."""

import json
import stat

import pytest

from tools.embedded import keys
from tools.stack import __main__ as stack
from tools.stack import backups


@pytest.fixture
def backup(tmp_path):
    folder = tmp_path / "20261124T120000Z"
    folder.mkdir()
    return folder


def test_a_restore_into_a_new_place_has_the_keys_of_the_backup(tmp_path, backup):
    taken = keys.ensure(backup)
    assert backups.put_keys_back(backup=backup, var_dir=tmp_path) == []
    assert keys.ensure(tmp_path) == taken
    assert stat.S_IMODE(keys.file(tmp_path).stat().st_mode) == 0o600


def test_a_key_that_only_the_backup_has_is_kept_beside_those_that_are_there(tmp_path, backup):
    taken = keys.ensure(backup)
    present = {**taken, "SECRET_KEY": "another"}
    del present["PUBLIC_IDS_KEY"]
    keys.file(tmp_path).write_text(json.dumps(present))
    assert backups.put_keys_back(backup=backup, var_dir=tmp_path) == ["SECRET_KEY"]
    assert keys.stored(tmp_path) == {**taken, "SECRET_KEY": "another"}


def test_a_restore_names_the_keys_that_are_others_and_leaves_them(tmp_path, backup, monkeypatch, capsys):
    keys.ensure(backup)
    present = keys.ensure(tmp_path)
    monkeypatch.setattr(backups, "restore", lambda **given: {"crossbook": "crossbook_before"})
    for variable in backups.VARIABLES.values():
        monkeypatch.setenv(variable, "postgresql://nobody@127.0.0.1:1/none")
    assert stack._restore(tmp_path, backup, ["crossbook"]) == 0
    assert "PUBLIC_IDS_KEY, SECRET_KEY, SERVICE_KEY, WALLET_KEY: not the backup's" in capsys.readouterr().out
    assert keys.stored(tmp_path) == present


def test_a_backup_without_keys_changes_nothing(tmp_path, backup):
    assert backups.put_keys_back(backup=backup, var_dir=tmp_path) == []
    assert not keys.file(tmp_path).exists()
