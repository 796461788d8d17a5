"""`python -m tools.cluster.demo`: the demo on three whole hosts, through their load balancer; `make cluster-demo`.

Its size is that of `make demo`. Needs root on Linux, etcd, HAProxy and iproute2. Only the installed Patroni is left.
"""

import shutil
import signal
import subprocess
import sys

from tools.cluster.laboratory import ROOT, built, is_impossible, tell


def main() -> int:
    """The demo's own exit code: 0 only if every accepted order was settled and reported and nothing is broken."""
    if is_impossible():
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with built() as lab:
        report = lab.client_folder / "demo-report.json"
        asked = [sys.executable, "-m", "tools.cluster.driver", "demo", lab.balancer.url, str(report)]
        environment = {**lab.environment, "LOG_LEVEL": "WARNING"}
        code = subprocess.run(lab.clients.inside(asked), cwd=ROOT, env=environment, check=False).returncode
    if code:
        tell(f"the demo ended with {code}; the logs are in {lab.folder / 'hosts'}")
        return code
    shutil.rmtree(lab.folder / "hosts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
