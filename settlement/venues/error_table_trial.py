"""Replaying an error table over the recorded answers of the venue: what it would have said of each, and what was said.

Changes nothing and sends nothing. Answers are added up by the database, so a long history takes no memory.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.db.models import Case, Count, F, Func, Max, Q, QuerySet, TextField, Value, When

from infra.exchange.lean_ccxt import ccxt
from settlement.models import Attempt
from settlement.venues.error_table import OWN_KINDS, TABLE, Answer, Rule, Table, TableInvalid, Verdict
from settlement.venues.failures import QUESTIONS

# What an answered question can be stored with that is no failure.
NO_FAILURE = ("OrderNotFound", "NotInHistory")


@dataclass(frozen=True, slots=True)
class Replayed:
    """Like answers to like calls: how many, the verdict of then and that of now, and the latest as an example.

    An answer of before follows were stored shows none, and differs only if its outcome does.
    """

    call: str
    heard: str
    http_status: int | None
    then: str
    now: str
    count: int
    example: int

    @property
    def differs(self) -> bool:
        """Whether the table says something else now."""
        return self.then != self.now and not self.now.startswith(f"{self.then} ")


def replay(*, table: Table, since: datetime | None = None) -> list[Replayed]:
    """Judge every stored answer, since a moment if one is given, by `table`; the most frequent first."""
    attempts: QuerySet[Attempt] = Attempt.objects.all()
    if since is not None:
        attempts = attempts.filter(sent_at__gte=since)
    alike = attempts.annotate(message=_words()).values(
        "venue", "call", "code", "http_status", "outcome", "follow", "message"
    )
    return [
        _replay(row, table)
        for row in alike.annotate(count=Count("id"), example=Max("id")).order_by("-count", "-example")
    ]


def verdicts(replayed: Iterable[Replayed]) -> dict[str, tuple[int, int]]:
    """How many answers each verdict was given to then, and is given to now."""
    then: Counter[str] = Counter()
    now: Counter[str] = Counter()
    for row in replayed:
        then[row.then] += row.count
        now[row.now] += row.count
    return {verdict: (then[verdict], now[verdict]) for verdict in sorted(then.keys() | now.keys())}


def read_table(path: Path) -> Table:
    """An error table from a file as `to_json` writes it. Raises: OSError, TableInvalid."""
    try:
        rules = msgspec.json.decode(path.read_bytes(), type=list[Rule])
    except msgspec.DecodeError as error:
        raise TableInvalid(str(error)) from error
    for kind in {rule.kind for rule in rules} - OWN_KINDS - {""}:
        if not issubclass(getattr(ccxt, kind, object), ccxt.BaseError):
            raise TableInvalid(f"{kind}: no kind of failure")
    return Table(rules)


def to_json(table: Table) -> str:
    """The table as a JSON list, a rule a line, to be edited and replayed."""
    rules = [msgspec.json.format(msgspec.json.encode(rule), indent=-1).decode() for rule in table.rules]
    return "[\n" + ",\n".join(rules) + "\n]\n"


def _replay(row: Mapping[str, Any], table: Table) -> Replayed:
    then = f"{row['outcome'] or 'no answer'} {row['follow']}".rstrip()
    verdict = _judge_anew(row, table)
    now = f"{verdict.outcome.value} {verdict.follow.value}" if verdict else then
    return Replayed(
        row["call"], row["code"], row["http_status"], then, now, count=row["count"], example=row["example"]
    )


def _judge_anew(row: Mapping[str, Any], table: Table) -> Verdict | None:
    """The table's verdict on a failure; None for what is none."""
    asked = row["call"] in QUESTIONS
    if row["code"] == "" or (asked and row["code"] in NO_FAILURE):
        return None
    kind, _, code = row["code"].partition(" ")
    venue = row["venue"] or settings.VENUE  # not noted where there was but one
    answer = Answer(venue, kind, code, row["http_status"], to_question=asked, message=row["message"] or "")
    return table.judge(answer)


def _words() -> Case:
    """The venue's words, of the codes that words tell apart only: others' would not add up."""
    told_apart = Q()
    for code in sorted({rule.code for rule in TABLE.rules if rule.message}):
        told_apart |= Q(code__endswith=f" {code}")
    words = Func(F("answer"), Value(r'"msg" *: *"([^"]*)"'), function="substring", output_field=TextField())
    return Case(When(told_apart, then=words), default=Value(""), output_field=TextField())
