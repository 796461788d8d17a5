"""Bring the stack up (or use the one that runs), send orders, wait until all are reported, audit, tell the story."""

import os
import sys

from rich.console import Console

from tools import stack
from tools.demo.sizes import SizeInvalid, read_sizes
from tools.embedded import places, secret_files


def main() -> int:
    """Exit code 0 only if every accepted order was settled and reported and the audit finds nothing broken."""
    console = Console()
    secret_files.take_in(os.environ)
    try:
        sizes = read_sizes(os.environ)
    except SizeInvalid as error:
        console.print(str(error), style="red", highlight=False)
        return 2
    var_dir = places.var_dir_of(os.environ)
    info = stack.running(var_dir)
    started_here = info is None
    if info is None:
        console.print("[bold]Starting the stack[/bold] (it stops again at the end)")
        try:
            info = stack.start(var_dir=var_dir, tell=lambda line: console.print(f"  {line}", highlight=False))
        except stack.StackFailed as failure:
            console.print(str(failure), style="red", markup=False, highlight=False, soft_wrap=True)
            return 2
    else:
        console.print(f"Using the stack that runs at {info.web_url}; it goes on afterwards")
    try:
        # Django's settings ask the environment, so they load only now that the stack's addresses are known.
        os.environ.update(info.environment)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        os.environ.setdefault("LOG_LEVEL", "WARNING")
        import django

        django.setup()
        from tools.demo.run import run

        return run(
            console=console, sizes=sizes, web_url=info.web_url, report_path=var_dir / "demo-report.json"
        )
    finally:
        if started_here:
            console.print("stopping the stack")
            stack.stop(var_dir=var_dir)


if __name__ == "__main__":
    sys.exit(main())
