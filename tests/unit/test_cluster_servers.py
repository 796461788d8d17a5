"""What the laboratory tells its servers: the archive's recovery, the brokers' roles, and a disk that can be filled."""

import os
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tools.cluster.archive import Archive
from tools.cluster.brokers import Brokers
from tools.cluster.disk import Disk
from tools.cluster.network import Unable

HOSTS = [SimpleNamespace(name=f"h{number}", address=f"10.177.0.{number}") for number in (1, 2, 3)]


def test_a_restore_ends_at_the_moment_and_takes_the_segment_that_was_being_written(tmp_path):
    archive = Archive(HOSTS[0], HOSTS, tmp_path)
    told = archive.bootstrap(datetime(2026, 11, 30, 12, tzinfo=UTC), into=tmp_path / "data")
    how = told[told["method"]]
    assert how["command"] == f"cp -R {tmp_path}/base {tmp_path}/data"
    assert how["recovery_conf"] == {
        "restore_command": f"cp {tmp_path}/wal/%f %p || cp {tmp_path}/wal/%f.partial %p",
        "recovery_target_time": "2026-11-30 12:00:00+00:00",
        "recovery_target_action": "promote",
    }


def test_each_broker_has_its_own_address_and_all_follow_the_first(tmp_path):
    brokers = Brokers(HOSTS, tmp_path)
    for member, host in zip(brokers.members, HOSTS, strict=True):
        lines = member._configuration("valkey").splitlines()
        assert f"bind {host.address}" in lines
        assert ("replicaof 10.177.0.1 6379" in lines) == (host is not HOSTS[0])
        lines = member._configuration("sentinel").splitlines()
        assert f"bind {host.address}" in lines
        assert "sentinel monitor crossbook 10.177.0.1 6379 2" in lines
    assert brokers.environment["BROKER_URL"].count("sentinel://") == 3


@pytest.mark.parametrize(
    ("told", "primary"),
    [(["1", "1", None], 0), (["1", "2", "2"], 1), (["1", "2", None], None), ([None] * 3, None)],
)
def test_the_broker_is_the_one_that_most_sentinels_name(tmp_path, monkeypatch, told, primary):
    brokers = Brokers(HOSTS, tmp_path)
    for member, number in zip(brokers.members, told, strict=True):
        address = None if number is None else f"10.177.0.{number}"
        monkeypatch.setattr(member, "primary_address", lambda address=address: address)
    assert brokers.primary() is (None if primary is None else brokers.members[primary])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk to fill")
def test_a_disk_is_filled_and_freed_and_nothing_is_left(tmp_path):
    disk = Disk(tmp_path / "small", megabytes=20)
    try:
        try:
            disk.mount()
        except Unable as error:
            pytest.skip(str(error))
        file = disk.folder / "file"
        file.write_bytes(bytes(4096))
        disk.fill()
        assert shutil.disk_usage(disk.folder).free == 0
        with pytest.raises(OSError, match="No space left"):
            file.write_bytes(bytes(10**6))
        disk.free()
        file.write_bytes(bytes(10**6))
    finally:
        disk.unmount()
    assert list(tmp_path.iterdir()) == [disk.folder]
    assert list(disk.folder.iterdir()) == []
