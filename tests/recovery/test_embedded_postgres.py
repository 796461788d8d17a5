"""PostgreSQL as root, as an account and as anybody; after a crash; beside what only looks like it."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support import ending
from tools.embedded import places, postgres, privileges, processes
from tools.stack.readiness import databases_answer
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tools.embedded"]
# Stands for a user who is not root: root, shown to itself as an ordinary account.
AS_ANYBODY = """
import pwd, runpy, sys
from tools.embedded.privileges import RunAs
account = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
RunAs(kind="namespace", uid=account.pw_uid, gid=account.pw_gid).enter()
runpy.run_module("tools.embedded", run_name="__main__", alter_sys=True)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


@pytest.fixture
def server():
    """Start a server for a VAR_DIR and wait until it answers; all are gone at the end."""
    started = []

    def start(var_dir, *arguments, command=COMMAND):
        var_dir.mkdir(parents=True, exist_ok=True)
        log = (var_dir / "log.txt").open("w+")
        process = subprocess.Popen(
            [*command, "--var-dir", str(var_dir), "postgres", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        started.append((var_dir, process, log))
        url = postgres.url(var_dir=places.absolute(var_dir), database="desk")
        settled = wait_until(lambda: process.poll() is not None or databases_answer([url]), within_seconds=30)
        log.seek(0)
        assert settled, log.read()
        assert process.poll() is None, log.read()
        return process, url

    yield start
    for var_dir, process, log in reversed(started):
        with log:
            ending.end(process, asked_by=signal.SIGINT)
        assert not processes.working_in(var_dir / "postgres", name="postgres")
        shutil.rmtree(places.socket_folder(places.absolute(var_dir)), ignore_errors=True)


def _value(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def _owner(process):
    return psutil.Process(process.pid).uids().effective


def test_a_crash_loses_nothing_and_a_stale_pid_harms_nobody(server, tmp_path):
    process, url = server(tmp_path)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    process.kill()
    process.wait()
    # The number of the dead server may have gone to anybody, here to us.
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    _, url = server(tmp_path)
    assert _value(url, "SELECT value FROM kept") == 7


def test_a_second_server_for_the_same_data_is_refused(server, tmp_path):
    _, url = server(tmp_path)
    # Under another parent, while the first one's is alive: nobody left the server behind.
    command = ["sh", "-c", '"$@"; exit $?', "sh", *COMMAND, "--var-dir", str(tmp_path), "postgres"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1
    assert "already runs" in refused.stderr
    assert _value(url, "SELECT 1") == 1


DURABILITY = (
    "SELECT setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
)


@pytest.mark.parametrize(("arguments", "value"), [((), "on"), (("--disposable",), "off")])
def test_commits_wait_for_the_disk_unless_the_data_are_disposable(server, tmp_path, arguments, value):
    _, url = server(tmp_path, *arguments)
    with psycopg.connect(url) as connection:
        assert connection.execute(DURABILITY).fetchall() == [(value,)] * 3


@pytest.mark.parametrize("privilege", ["namespace", pytest.param("account", marks=as_root)])
def test_new_data_can_be_a_copy_and_the_original_stays_as_it_is(server, tmp_path, privilege):
    original, url = server(tmp_path / "original")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    original.send_signal(signal.SIGINT)
    original.wait(20)
    copied = ("--copy-of", str(tmp_path / "original" / "postgres"), "--privilege", privilege)
    process, url = server(tmp_path / "copy", *copied)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE kept SET value = 8")
    process.send_signal(signal.SIGINT)
    process.wait(20)
    # Data that are there are served, and not copied over.
    _, url = server(tmp_path / "copy", *copied)
    assert _value(url, "SELECT value FROM kept") == 8
    _, url = server(tmp_path / "original")
    assert _value(url, "SELECT value FROM kept") == 7


@as_root
def test_root_serves_from_a_private_folder_without_opening_it(server, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    var_dir = private / ("deep " * 20).strip()
    process, url = server(var_dir)
    assert _value(url, "SELECT current_database()") == "desk"
    assert _owner(process) == 0
    assert (var_dir / "postgres").stat().st_uid == 0
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    sockets = places.socket_folder(places.absolute(var_dir))
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


@as_root
def test_root_without_namespaces_becomes_an_idle_account(server, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    process, url = server(private / "var", "--privilege", "account")
    try:
        assert _value(url, "SELECT current_user") == "crossbook"
        assert pwd.getpwuid(_owner(process)).pw_name in privileges.SPARE_ACCOUNTS
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        home = (private / "var" / "postgres").resolve().parent
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert not home.is_relative_to(tmp_path)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        shutil.rmtree((private / "var" / "postgres").resolve().parent)


@as_root
def test_anybody_serves_as_themselves(server, tmp_path):
    process, url = server(tmp_path, command=[sys.executable, "-c", AS_ANYBODY])
    assert _value(url, "SHOW fsync") == "on"
    tool = [*COMMAND, "--var-dir", str(tmp_path), "psql", "desk", "-Atc", "SELECT current_database()"]
    done = subprocess.run(tool, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "desk"
    assert process.poll() is None
