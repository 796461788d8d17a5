"""Whom PostgreSQL runs as: it refuses to run as root.

As root it runs in a user namespace of its own, where root is shown to it as an ordinary account: to the rest of
the machine its files stay root's, so nothing has to be opened for anybody. Where namespaces are forbidden it runs
as an idle system account. Invariant: the permissions of a folder that we did not make are never changed.
"""

import ctypes
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

CLONE_NEWUSER = 0x10000000
# Accounts of services that are rarely installed; one that runs nothing shares its rights with nobody.
SPARE_ACCOUNTS = ("games", "lp", "uucp", "news", "nobody", "daemon")


class NoAccount(Exception):
    """Root may not make user namespaces here and no idle system account is there to run PostgreSQL as."""


@dataclass(frozen=True, kw_only=True)
class RunAs:
    """`self`: as we are; `namespace`: root under another number; `account`: another user, for good."""

    kind: Literal["self", "namespace", "account"]
    uid: int = 0
    gid: int = 0

    def enter(self) -> None:
        """Become that user; there is no way back for this process."""
        if self.kind == "namespace":
            _enter_namespace(self.uid, self.gid)
        elif self.kind == "account":
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)

    def reaches(self, paths: Iterable[Path]) -> bool:
        """Whether that user can enter and read all `paths`; tried in a process of its own."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self.enter()
                status = 0 if all(os.access(path, os.R_OK | os.X_OK) for path in paths) else 1
            finally:
                os._exit(status)
        _, waited = os.waitpid(child, 0)
        return waited == 0


def choose(*, data: Path, needed: Iterable[Path], kind: str | None = None) -> RunAs:
    """Whom to run as: the owner of existing `data`; else the first that works, or `kind` when it is given.

    Raises: NoAccount.
    """
    if os.geteuid() != 0:
        return RunAs(kind="self")
    if data.exists():
        owner = data.stat().st_uid
        return _namespace() if owner == 0 else RunAs(kind="account", uid=owner, gid=data.stat().st_gid)
    if kind != "account":
        namespace = _namespace()
        if kind == "namespace" or namespace.reaches(needed):
            return namespace
    return _spare_account()


def _namespace() -> RunAs:
    # Inside, initdb looks its account up by number, so it has to be one that the machine knows.
    shown = next((entry for entry in pwd.getpwall() if entry.pw_uid != 0), None)
    if shown is None:
        raise NoAccount("the machine knows no account but root")
    return RunAs(kind="namespace", uid=shown.pw_uid, gid=shown.pw_gid)


def _spare_account() -> RunAs:
    busy = {process.info["uids"].real for process in psutil.process_iter(["uids"]) if process.info["uids"]}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in SPARE_ACCOUNTS:
        entry = known.get(name)
        if entry is not None and entry.pw_uid not in busy:
            return RunAs(kind="account", uid=entry.pw_uid, gid=entry.pw_gid)
    raise NoAccount(f"none of {', '.join(SPARE_ACCOUNTS)} is idle")


def _enter_namespace(uid: int, gid: int) -> None:
    """user_namespaces(7): one uid and one gid of the outside shown as `uid` and `gid` inside."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")
