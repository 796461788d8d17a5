"""The documents name only what exists: links, paths, commands, settings, metrics, alerts, addresses."""

import argparse
import fnmatch
import importlib.util
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

from counter.api import urls as api_urls

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".venv", "var", "build", "__pycache__", "node_modules"}
SOURCES = {".py", ".sh", ".yml", ".toml", ".html", ".json", ".mjs", ".js", ""}
NAMED_FILES = (".py", ".md", ".sh", ".yml", ".html", ".toml", ".lock", ".mjs", ".js", ".css", ".png")

Document = tuple[Path, str]


@cache
def tracked() -> tuple[str, ...]:
    """Files and folders of the project, from its root."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        inside = Path(folder).relative_to(ROOT)
        found += [(inside / name).as_posix() for name in (*files, *folders) if name not in SKIPPED]
        folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith(".")]
    return tuple(found)


@cache
def tracked_names() -> frozenset[str]:
    """Their names and those of the folders, without what they lie in."""
    return frozenset(Path(name).name for name in tracked())


def documents() -> list[Document]:
    names = [name for name in tracked() if name.endswith(".md") and not name.startswith("tests/")]
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md", "docs/configuration.md"} <= set(names)
    return [(Path(name), (ROOT / name).read_text()) for name in names]


@cache
def words_of_the_sources() -> frozenset[str]:
    """Every name in what is no document."""
    words: set[str] = set()
    for name in tracked():
        path = ROOT / name
        if path.is_file() and path.suffix in SOURCES and path != Path(__file__):
            words |= set(re.findall(r"\w+", path.read_text(errors="replace")))
    return frozenset(words)


def snippets(text: str) -> Iterator[str]:
    """Lines of blocks of code, and what stands between backticks."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    fenced = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
    for block in fenced.findall(text):
        yield from block.splitlines()[1:-1]
    for line in fenced.sub("", text).splitlines():
        if line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


# --- what is checked: each gives what a document names and is not there -----------------------------------------------


def dead_links(document: Document) -> Iterator[str]:
    path, text = document
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (ROOT / path.parent / target).resolve() if target else ROOT / path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text())):
            yield link


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def missing_paths(document: Document) -> Iterator[str]:
    """Files and folders; what a running stack makes lies in var/."""
    for snippet in snippets(document[1]):
        for word in snippet.split():
            named = word.strip("`,;:()'\"").removeprefix("./")
            if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", named) or named.startswith("var/"):
                continue
            is_path = named.endswith((*NAMED_FILES, "/")) and named not in NO_PATHS
            if is_path and not is_there(named.rstrip("/"), document[0].parent):
                yield named


NO_PATHS = {"var/", "exercise/"}  # what a stack makes; how an order of an expiry is named


def is_there(named: str, beside: Path) -> bool:
    """From the root or from the document; a bare name may be any file's or folder's."""
    if "/" not in named:
        return bool(fnmatch.filter(tracked_names(), named))
    return any(fnmatch.filter(tracked(), pattern) for pattern in (named, (beside / named).as_posix()))


def missing_commands(document: Document) -> Iterator[str]:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for snippet in snippets(document[1]):
        for target in re.findall(r"(?:^|[;&]\s*)(?:\w+=\S* )*make ([a-z][a-z-]*)", snippet):
            if target not in targets:
                yield f"make {target}"
        for command, rest in re.findall(r"manage\.py (\w+)([^|;)&#]*)", snippet):
            if command not in get_commands():
                yield f"manage.py {command}"
                continue
            known = options_of(command)
            yield from (f"manage.py {command} {o}" for o in re.findall(r"--[a-z-]+", rest) if o not in known)
        for module in re.findall(r"python -m ([\w.]+)", snippet):
            if not is_module(module):
                yield f"python -m {module}"


@cache
def options_of(command: str) -> frozenset[str]:
    app = get_commands()[command]
    loaded = load_command_class(app, command) if isinstance(app, str) else app
    return frozenset(options_in(loaded.create_parser("manage.py", command)))


def options_in(parser: argparse.ArgumentParser) -> Iterator[str]:
    """With those of its subcommands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from options_in(sub)


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def unknown_names(document: Document) -> Iterator[str]:
    """Settings, variables and states, metrics, alerts and tests: each is a word of some source."""
    kinds = r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+|crossbook_(?!client)[a-z0-9_]+|Crossbook[A-Z]\w+|test_\w+"
    for snippet in snippets(document[1]):
        for name in re.findall(rf"(?<![\w.\"/-])(?:{kinds})(?![\w*/.-])", snippet):
            known = metrics() if name.startswith("crossbook_") else words_of_the_sources()
            if name not in known and name not in COMPOSED and f"${name}" not in document[1]:
                yield name


@cache
def metrics() -> frozenset[str]:
    """Under the names that Prometheus has them by."""
    named = re.findall(r'"(\w+)"', (ROOT / "cockpit/metrics.py").read_text())
    return frozenset(f"crossbook_{name}{end}" for name in named for end in ("", "_total"))


# Names that are put together where they are read, and one that RabbitMQ says.
COMPOSED = {"PRECONDITION_FAILED"} | {
    f"{cause.upper()}_{what}_AFTER_SECONDS"
    for cause in settings.BREAKER_AFTER_SECONDS
    for what in ("WIDEN", "HALT")
}
COMPOSED |= {f"{cause.upper()}_FROM_USDT" for cause in settings.BREAKER_FROM_USDT}


def unknown_addresses(document: Document) -> Iterator[str]:
    doors = "api(?!/v3)|internal|wallet|admin|trade|metrics|readyz"
    pattern = rf'(?:^|[\s"}}]|URL)(/(?:{doors})(?:/[\w{{}}.-]+)*/?)(?=$|[\s?"`,])'
    for snippet in snippets(document[1]):
        for address in re.findall(pattern, snippet):
            if not is_answered(re.sub(r"\{\w+\}", "1", address)):
                yield address


def is_answered(address: str) -> bool:
    """By a view of its own, in one of the addresses that it begins."""
    for tried in (address, address.rstrip("/"), address.rstrip("/") + "/"):
        try:
            found = resolve(tried)
        except Resolver404:
            continue
        if "rest" not in found.kwargs:
            return True
    known = [str(pattern.pattern) for pattern in api_urls.urlpatterns]
    return any(name.startswith(address.strip("/") + "/") for name in known)


CHECKS = (dead_links, missing_paths, missing_commands, unknown_names, unknown_addresses)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_documents_name_nothing_that_is_not_there(check):
    assert {(str(path), name) for path, text in documents() for name in check((path, text))} == set()


@pytest.mark.parametrize(
    ("check", "planted"),
    [
        (dead_links, "[x](nowhere.md)"),
        (dead_links, "[x](../README.md#no-such-heading)"),
        (dead_links, '<img src="images/gone.png">'),
        (missing_paths, "`counter/gone.py`"),
        (missing_paths, "`tests/integration/test_gone.py`"),
        (missing_paths, "`counter/gone/`"),
        (missing_paths, "`gone.py`"),
        (missing_commands, "    make gone"),
        (missing_commands, "`manage.py gone`"),
        (missing_commands, "`manage.py audit --gone`"),
        (missing_commands, "`python -m tools.gone`"),
        (unknown_names, "`GONE_SECONDS`"),
        (unknown_names, "`GONE_SECONDS=5`"),
        (unknown_names, "`crossbook_gone_total{step}`"),
        (unknown_names, "| `CrossbookGone` |"),
        (unknown_addresses, "`GET /api/v1/gone`"),
        (unknown_addresses, '    curl "$URL/api/v1/gone?x=1"'),
    ],
)
def test_a_planted_name_is_seen(check, planted):
    assert len(list(check((Path("docs/planted.md"), f"Prose.\n\n{planted}\n")))) == 1


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text()
    pages = [Path(name).relative_to("docs") for name in tracked() if re.fullmatch(r"docs/.*\.md", name)]
    assert len(pages) > 50
    assert [page for page in pages if f"({page})" not in index and page.name != "README.md"] == []
