"""Run one embedded server in the foreground, or a PostgreSQL tool against the running one.

python -m tools.embedded postgres | valkey --port N
python -m tools.embedded psql desk -c 'select 1'
"""

import argparse
import os
import sys
from pathlib import Path

from tools.embedded import places, postgres, processes, server_urls, valkey
from tools.embedded.privileges import NoAccount


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.embedded", description=__doc__)
    parser.add_argument("--var-dir", type=Path, default=places.var_dir_of(os.environ))
    parts = parser.add_subparsers(dest="part", required=True)
    server = parts.add_parser("postgres")
    server.add_argument(
        "--privilege", choices=["namespace", "account"], help="whom root becomes for new data"
    )
    server.add_argument(
        "--disposable", action="store_true", help="nobody needs the data afterwards: do not wait for the disk"
    )
    server.add_argument(
        "--copy-of", type=Path, metavar="FOLDER", help="new data are a copy of this data folder"
    )
    broker = parts.add_parser("valkey")
    broker.add_argument("--port", type=int, required=True)
    for tool in postgres.SERVED_TOOLS:
        parts.add_parser(tool, add_help=False).add_argument("database", choices=postgres.DATABASES)
    options, others = parser.parse_known_args()
    if others and options.part not in postgres.SERVED_TOOLS:
        parser.error(f"unknown arguments: {' '.join(others)}")
    var_dir = places.absolute(options.var_dir)
    try:
        if options.part == "postgres":
            postgres.run(
                var_dir=var_dir,
                privilege=options.privilege,
                is_disposable=options.disposable,
                copy_of=options.copy_of,
            )
        elif options.part == "valkey":
            valkey.run(var_dir=var_dir, port=options.port)
    except (places.FolderNotPrivate, processes.AlreadyServing, NoAccount) as refusal:
        sys.exit(f"{options.part}: {refusal}")
    name = "DATABASE_URL" if options.database == "crossbook" else "DESK_DATABASE_URL"
    program = str(postgres.installed() / "bin" / options.part)
    os.execv(program, [program, "-d", server_urls(var_dir)[name], *others])


if __name__ == "__main__":
    main()
