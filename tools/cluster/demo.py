"""`python -m tools.cluster.demo`: the demo on three database hosts and three broker hosts; `make cluster-demo`.

Its size is that of `make demo`. Needs root on Linux, etcd and iproute2. Only the installed Patroni is left of it.
"""

import shutil
import signal
import subprocess
import sys

from tools.cluster.laboratory import built, is_impossible, tell


def main() -> int:
    """The demo's own exit code: 0 only if every accepted order was settled and reported and nothing is broken."""
    if is_impossible():
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with built() as lab:
        var_dir = lab.folder / "demo"
        shutil.rmtree(var_dir, ignore_errors=True)
        try:
            lab.run("tools.demo", var_dir=var_dir, is_quiet=False)
        except subprocess.CalledProcessError as failed:
            tell(f"the demo ended with {failed.returncode}; its logs are in {var_dir}")
            return failed.returncode
        shutil.rmtree(var_dir)
    shutil.rmtree(lab.folder / "hosts")
    shutil.rmtree(lab.folder / "brokers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
