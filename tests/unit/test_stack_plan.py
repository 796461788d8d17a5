"""What the stack would run, and where its keys and addresses come from."""

import json
import os
import socket
import stat
import subprocess
import sys

import psutil
import pytest

from tools.embedded import keys, places, processes, server_urls, valkey
from tools.stack import lifecycle, programs, supervision

SERVERS = ["postgres", "valkey", "venue"]
LED = ["intake", "beat", "feed"]
APPS = ["web", "stream", "intake", "worker", "beat", "feed", "prices", "flower"]
ALL = [*SERVERS, *APPS, *(f"{name}-standby" for name in LED)]


def _names(var_dir, **given):
    return [program.name for program in programs.plan(var_dir=var_dir, given=given).programs]


def test_nothing_given_means_everything_runs(tmp_path):
    assert _names(tmp_path) == ALL


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({"BROKER_URL": "redis://elsewhere/0"}, "valkey"),
        ({"VENUE_URL": "https://testnet.example"}, "venue"),
        ({"DATABASE_URL": "postgresql://a/b", "DESK_DATABASE_URL": "postgresql://a/c"}, "postgres"),
    ],
)
def test_a_given_server_is_left_out_and_its_url_passed_on(tmp_path, given, left_out):
    plan = programs.plan(var_dir=tmp_path, given=given)
    assert [program.name for program in plan.programs] == [name for name in ALL if name != left_out]
    assert plan.environment.items() >= given.items()


def test_a_standby_is_its_leader_under_another_name(tmp_path):
    commands = {
        program.name: program.command for program in programs.plan(var_dir=tmp_path, given={}).programs
    }
    for name in LED:
        renamed = tuple(f"{name}-standby" if part == name else part for part in commands[name][:5])
        assert commands[f"{name}-standby"] == renamed + commands[name][5:]


def test_a_machine_among_several_runs_no_standby_and_listens_where_its_proxy_finds_it(tmp_path):
    given = {"STACK_WITHOUT": "standbys, flower", "BIND_ADDRESS": "0.0.0.0"}  # noqa: S104
    stream = valkey.free_port()
    plan = programs.plan(var_dir=tmp_path, given=given | {"STREAM_PORT": str(stream)})
    assert [program.name for program in plan.programs] == [*SERVERS, *APPS[:-1]]
    commands = {program.name: program.command for program in plan.programs}
    for name, port in (("web", plan.ports["web"]), ("stream", stream)):
        assert commands[name][-4:] == ("--host", "0.0.0.0", "--port", str(port))  # noqa: S104
    assert plan.stream_url == plan.environment["STREAM_URL"] == f"http://127.0.0.1:{stream}"
    assert _names(tmp_path, STACK_WITHOUT="web intake-standby") == [
        name for name in ALL if name not in ("web", "intake-standby")
    ]


@pytest.mark.parametrize("named", ["postgres", "webs", "standby"])
def test_only_programs_that_there_are_can_be_left_out(tmp_path, named):
    with pytest.raises(programs.NoSuchProgram, match=named):
        programs.plan(var_dir=tmp_path, given={"STACK_WITHOUT": f"flower {named}"})


def test_one_given_database_leaves_the_other_embedded(tmp_path):
    plan = programs.plan(var_dir=tmp_path, given={"DATABASE_URL": "postgresql://a/b"})
    assert "postgres" in [program.name for program in plan.programs]
    assert plan.environment["DATABASE_URL"] == "postgresql://a/b"
    assert str(tmp_path.name) in plan.environment["DESK_DATABASE_URL"]


def test_the_venue_replays_what_market_data_names(tmp_path):
    plan = programs.plan(var_dir=tmp_path, given={"MARKET_DATA": "a.csv.gz,b.csv.gz"})
    venue = next(program for program in plan.programs if program.name == "venue")
    assert venue.command[-3:] == ("--market-data", "a.csv.gz", "b.csv.gz")


def test_a_taken_port_is_replaced(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        plan = programs.plan(var_dir=tmp_path, given={"PORT": str(port)})
        assert plan.ports["web"] != port
        assert valkey.is_free(plan.ports["web"])
        assert plan.environment["COUNTER_URL"] == plan.web_url
    free = valkey.free_port()
    assert programs.plan(var_dir=tmp_path, given={"PORT": str(free)}).ports["web"] == free


def test_flower_keeps_its_port_beside_the_web_s(tmp_path):
    while not valkey.is_free((free := valkey.free_port()) + 1):
        pass
    ports = [programs.plan(var_dir=tmp_path, given={"PORT": str(free)}).ports["flower"] for _ in range(2)]
    assert ports == [free + 1] * 2
    chosen = valkey.free_port()
    plan = programs.plan(var_dir=tmp_path, given={"PORT": str(free), "FLOWER_PORT": str(chosen)})
    assert plan.environment["FLOWER_URL"] == f"http://127.0.0.1:{chosen}"


def test_keys_are_made_once_and_are_ours_alone(tmp_path):
    first = programs.plan(var_dir=tmp_path, given={}).environment
    again = programs.plan(var_dir=tmp_path, given={}).environment
    for name in keys.PUBLISHED:
        assert len(first[name]) >= 64
        assert first[name] == again[name] == server_urls(tmp_path)[name]
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_no_secret_stands_in_the_supervisors_configuration(tmp_path):
    text = supervision.configuration(programs.plan(var_dir=tmp_path, given={}))
    assert not [name for name, value in keys.stored(tmp_path).items() if value in text]


def test_a_reused_process_number_is_no_running_stack(tmp_path):
    state = {
        "pid": os.getpid(),
        "created": psutil.Process().create_time() - 1,
        "environment": {"VENUE_URL": "gone"},
    }
    places.state_file(tmp_path).write_text(json.dumps(state))
    assert lifecycle.running(tmp_path) is None
    assert "VENUE_URL" not in server_urls(tmp_path)


def test_database_urls_are_ours_even_before_the_stack_runs(tmp_path):
    urls = server_urls(tmp_path)
    for name in ("DATABASE_URL", "DESK_DATABASE_URL"):
        assert "postgresql://crossbook@/" in urls[name]
        assert "host=" in urls[name]


def test_a_deep_folder_gets_its_socket_under_tmp(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    for folder in (tmp_path, deep):
        path = places.socket_folder(folder) / places.LONGEST_SOCKET_NAME
        assert len(os.fsencode(path)) <= places.SOCKET_PATH_MAX_BYTES
    assert places.socket_folder(tmp_path).is_relative_to(tmp_path)
    assert not places.socket_folder(deep).is_relative_to(tmp_path)


def test_a_folder_that_others_can_enter_is_refused(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link"):
        with pytest.raises(places.FolderNotPrivate):
            places.private_folder(tmp_path / name)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o755


def test_settling_goes_before_watching(tmp_path):
    commands = {
        program.name: program.command for program in programs.plan(var_dir=tmp_path, given={}).programs
    }

    def nice(name):
        before = commands[name][: commands[name].index("--")]
        return int(before[-1]) if before[-1].isdigit() else 0

    assert {nice(name) for name in ("web", "worker", "intake", "intake-standby", "feed")} == {0}
    assert 0 < nice("stream") < nice("flower")


def test_a_program_steps_back_as_it_is_told(tmp_path):
    launched = [sys.executable, "-m", "tools.stack.launch", "web", "SIGTERM", "3", "--"]
    asked = [*launched, sys.executable, "-c", "import os; print(os.nice(0))"]
    done = subprocess.run(
        asked,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {processes.STACK_MARK: str(tmp_path)},
    )
    assert int(done.stdout) == os.nice(0) + 3
