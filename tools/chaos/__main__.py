"""Start a stack, break it under load for a while, and prove what is left: `make chaos`."""

import json
import os
import sys

from rich.console import Console

from tools import stack
from tools.chaos.options import OptionInvalid, read_options
from tools.chaos.schedule import UnknownWord, chosen, plan
from tools.chaos.stage import built
from tools.embedded import places, secret_files


def main() -> int:
    """Exit code 0 only if nothing was lost, doubled or broken; 2 if it could not be tried."""
    console = Console()
    secret_files.take_in(os.environ)

    def tell(line: str) -> None:
        console.print(f"  {line}", style="dim", markup=False, highlight=False)

    var_dir = places.var_dir_of(os.environ)
    try:
        options = read_options(os.environ)
        console.print(
            f"seed {options.seed}, {options.minutes:g} minutes, {options.orders_per_s} orders a second"
        )
        with built(var_dir / "chaos", given=dict(os.environ), tell=tell) as stage:
            names = chosen(stage.injections, only=options.only, without=options.without)
            steps = plan(seed=options.seed, seconds=options.minutes * 60, names=names)
            tell(f"{len(steps)} injections of {len(names)} kinds to come")
            # Their models can be imported only now that the stack's addresses are known.
            from tools.chaos import report
            from tools.chaos.run import run

            result = run(stage=stage, options=options, steps=steps, tell=tell)
            found = report.report_of(options, result)
            (var_dir / "chaos.json").write_text(json.dumps(found, indent=1) + "\n")
            report.tell(console, found, result)
    except (OptionInvalid, UnknownWord, stack.StackFailed) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 2
    whole = report.is_whole(found)
    verdict = "Nothing lost, nothing doubled, nothing broken." if whole else "Not everything came through."
    console.print(verdict, style="bold green" if whole else "bold red")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
