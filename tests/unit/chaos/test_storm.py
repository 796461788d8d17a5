"""All that was broken is mended, also when the run fails."""

import threading

from tools.chaos.schedule import Step
from tools.chaos.storm import Storm


class Recorded:
    """An injection that notes what is done to it; the first `stubborn` attempts to end it fail."""

    def __init__(self, name="cut:line", *, fails_to_begin=False, stubborn=0):
        self.name = name
        self.broken = threading.Event()
        self.seeds = []
        self.fails_to_begin = fails_to_begin
        self.stubborn = stubborn

    def begin(self, seed):
        if self.fails_to_begin:
            raise OSError("it is down already")
        self.seeds.append(seed)
        self.broken.set()

    def end(self):
        if self.stubborn:
            self.stubborn -= 1
            raise OSError("not now")
        self.broken.clear()


def storm_of(*injections, seconds=0.02):
    steps = [Step(0.01 * n, injection.name, seconds, seed=n) for n, injection in enumerate(injections)]
    return Storm(steps, {injection.name: injection for injection in injections})


def test_every_injection_is_begun_with_its_seed_and_ended():
    line, server = Recorded(), Recorded("pause:server")
    storm = storm_of(line, server)
    storm.run()
    assert (line.seeds, server.seeds) == ([0], [1])
    assert not line.broken.is_set()
    assert not server.broken.is_set()
    assert [each.name for each in storm.injected] == ["cut:line", "pause:server"]
    assert all(each.ended is not None and each.ended >= each.began for each in storm.injected)


def test_what_cannot_be_begun_is_skipped_and_the_rest_goes_on():
    down, line = Recorded("kill:web", fails_to_begin=True), Recorded()
    storm = storm_of(down, line)
    storm.run()
    assert (storm.skipped, [each.name for each in storm.injected]) == (["kill:web"], ["cut:line"])


def test_what_cannot_be_ended_at_once_is_ended_later(monkeypatch):
    monkeypatch.setattr("tools.chaos.storm.RETRY_SECONDS", 0.001)
    line = Recorded(stubborn=3)
    storm = storm_of(line)
    storm.run()
    assert not line.broken.is_set()
    assert storm.unmended == []


def test_what_can_never_be_ended_is_named(monkeypatch):
    monkeypatch.setattr("tools.chaos.storm.RETRY_SECONDS", 0.001)
    monkeypatch.setattr("tools.chaos.storm.MENDED_WITHIN_SECONDS", 0.01)
    storm = storm_of(Recorded(stubborn=10**9), seconds=0.001)
    stopper = threading.Timer(0.05, storm.stop)
    stopper.start()
    storm.run()
    assert storm.unmended == ["cut:line"]


def test_a_storm_that_is_stopped_mends_what_it_broke():
    line = Recorded()
    storm = storm_of(line, seconds=1000)
    running = threading.Thread(target=storm.run)
    running.start()
    assert line.broken.wait(5)
    storm.stop()
    running.join(5)
    assert not running.is_alive()
    assert not line.broken.is_set()
