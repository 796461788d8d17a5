"""One load process: a job on stdin, `ready` on stdout, a line `go` on stdin, the outcome on stdout."""

import gc
import signal
import sys

import msgspec

from tools.bench.load.client import Client
from tools.bench.load.job import Job
from tools.bench.load.schedule import requests
from tools.embedded.processes import die_with_parent


def main() -> None:
    die_with_parent(signal.SIGTERM)
    job = msgspec.json.decode(sys.stdin.readline(), type=Job)
    client = Client(job, requests(job))
    gc.freeze()
    gc.disable()  # a pause of the collector would count as the server's
    print("ready", flush=True)
    if sys.stdin.readline().strip() == "go":
        print(msgspec.json.encode(client.run()).decode(), flush=True)


if __name__ == "__main__":
    main()
