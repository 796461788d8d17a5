"""What the laboratory tells its hosts: recovery, the brokers' roles, the balancer, programs; and a disk to fill."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.support.skips import needs
from tools.cluster import network
from tools.cluster.archive import Archive
from tools.cluster.balancer import Balancer
from tools.cluster.brokers import Brokers
from tools.cluster.disk import Disk
from tools.cluster.network import Unable
from tools.cluster.programs import LED, Programs
from tools.stack import programs

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


def test_the_balancer_has_the_example_s_configuration_with_the_hosts_addresses(tmp_path):
    balancer = Balancer(network.Host("balancer", 10), HOSTS, tmp_path)
    text = balancer.configuration()
    assert re.findall(r"server m\d (\S+)", text) == [
        f"{host.address}:{port}" for port in (8000, 8000, 8001) for host in HOSTS
    ]
    assert "deny unless { src 10.177.0.0/24 }" in text
    assert "10.0.0" not in text
    assert (balancer.url, balancer.desk_url) == ("http://10.177.0.10:8443", "http://10.177.0.10:8080")
    for port in re.findall(r"bind :(\d+)", text):
        assert port in balancer.url + balancer.desk_url


def test_haproxy_takes_the_balancer_s_configuration(tmp_path):
    if shutil.which("haproxy") is None:
        pytest.skip(needs("haproxy", "not checked by haproxy"))
    file = tmp_path / "haproxy.cfg"
    file.write_text(Balancer(network.Host("balancer", 10), HOSTS, tmp_path).configuration())
    done = subprocess.run(["haproxy", "-c", "-f", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_a_host_runs_each_program_once_and_no_server_of_its_own(tmp_path):
    told = {
        "DATABASE_URL": "postgresql://a,b,c/crossbook",
        "DESK_DATABASE_URL": "postgresql://a,b,c/desk",
        "BROKER_URL": "sentinel://a;sentinel://b",
        "VENUE_URL": "http://10.177.0.20:8090",
        "COUNTER_URL": "http://10.177.0.10:8080",
    }
    host = network.Host("host1", 1)
    given = Programs(host, tmp_path, told).environment
    # Its own address is on no network here: what is looked at is what would be run.
    plan = programs.plan(var_dir=tmp_path, given=given | {"BIND_ADDRESS": "127.0.0.1"})
    names = ["web", "stream", "intake", "worker", "beat", "feed", "prices"]
    assert [program.name for program in plan.programs] == names
    assert set(names) >= LED
    assert plan.environment.items() >= told.items()
    assert given["BIND_ADDRESS"] == host.address


def test_a_host_is_known_by_its_own_name(tmp_path):
    command = network.Host("host2", 2).inside(["python", "-m", "config.web"])
    assert command[:4] == ["ip", "netns", "exec", "cbx-host2"]
    assert command[-4:] == ["host2", "python", "-m", "config.web"]


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
