"""The trade page in another language: all of it, as the browser asks or its reader chooses."""

import gettext
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils import timezone
from django.utils.translation import override

from counter.models import PortfolioValue
from tests.integration.trade.test_page import trade_as
from tests.support.factories import place_open
from tests.support.visiting import words_in
from trade import customer_texts, history, placing, portfolio_chart
from trade.index_chart import SPAN_NAMES

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = ROOT / "trade/locale/de/LC_MESSAGES"
MARKED = re.compile(r'{% translate "([^"]+)" %}')
# The same word in both languages.
ALIKE = {"Calls", "Puts", "Delta", "IV", "Name", "Option", "Position", "in 24 h"}
TEXTS = [
    *customer_texts.REASONS.values(),
    *(text for pair in customer_texts.REFUSALS.values() for text in pair),
    *customer_texts.ORDER_KINDS.values(),
    *(text for pair in customer_texts.ORDER_STATES.values() for text in pair),
    *customer_texts.POSITION_STATES.values(),
    *customer_texts.LEDGER_KINDS.values(),
    *history.TITLES.values(),
    *SPAN_NAMES.values(),
    *portfolio_chart.SPAN_NAMES.values(),
    *(placing.RISK + placing.FULL + placing.ALREADY_USED),
    *(
        customer_texts.EXPIRED,
        customer_texts.CLOSES_STOPPED,
        customer_texts.NO_BID,
        customer_texts.TOO_OLD,
        customer_texts.TOO_LARGE,
    ),
    *(
        customer_texts.NEITHER,
        customer_texts.NEITHER_FOR_NOW,
        customer_texts.CLOSE_FOR_LESS,
        customer_texts.CLOSE_ONLY,
        customer_texts.DEARER,
    ),
]


def test_every_text_has_its_german():
    with override("en"):
        english = [str(text) for text in TEXTS]
    with override("de"):
        lacking = [text for text, told in zip(english, TEXTS, strict=True) if str(told) == text]
    assert not lacking
    with (CATALOGUE / "django.mo").open("rb") as file:
        german = gettext.GNUTranslations(file)
    marked = {
        text
        for path in (ROOT / "templates/trade").glob("*.html")
        for text in MARKED.findall(path.read_text())
    }
    assert len(marked) > 80
    assert not {text for text in marked if german.gettext(text) == text} - ALIKE


def test_what_is_compiled_is_what_is_written():
    written = set(re.findall(r'^msgid "(.+)"$', (CATALOGUE / "django.po").read_text(), re.MULTILINE))
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog
    singular = {key if isinstance(key, str) else key[0] for key in compiled} - {""}
    assert {text.replace('\\\\"', '"') for text in written} == singular


@pytest.mark.parametrize(("asked", "language"), [("de-AT,de;q=0.9", "de"), ("fr", "en"), ("en", "en")])
def test_page_is_in_the_language_that_the_browser_asks_for(visitor, option, asked, language):
    place_open(visitor.customer, option)
    html = visitor.http.get("/trade/", headers={"Accept-Language": asked}).content.decode()
    told = words_in(html)
    assert f'<html lang="{language}">' in html
    assert ("Guthaben 977,38 USDT" in told, "Balance 977.38 USDT" in told) == (
        language == "de",
        language == "en",
    )
    assert ("Jetzt wert 17,91 USDT" in told) == (language == "de")
    assert ("Verlauf Konto" in told) == (language == "de")  # not what the admin's catalogue has for history


def test_a_reader_chooses_a_language_and_keeps_it(visitor, option):
    visitor.http.handler.enforce_csrf_checks = False
    answer = visitor.http.post(
        "/trade/language/", {"language": "de"}, headers={"Referer": "/trade/history/ledger/"}
    )
    assert answer.status_code == 302
    assert "Einzahlung" in words_in(visitor.get("history/ledger/"))
    assert "Festen Preis holen" in words_in(visitor.get("ticket/", symbol=option.symbol))
    trade_as("HALTED", "venue_halted", "exposure")
    told = words_in(visitor.get("chain/", coin="BTC", expiry=option.expires_at.date().isoformat()))
    assert (
        "Zurzeit kann niemand BTC-Optionen kaufen: der Markt, an dem wir handeln, nimmt keine Aufträge an, und"
        in told
    )


def test_numbers_have_the_separators_of_the_language():
    amount = Decimal("-1234567.891")
    shown = Template("{% load trade_numbers %}{{ amount|exact }} {{ amount|to_cent }}")
    assert shown.render(Context({"amount": amount})) == "−1,234,567.891 −1,234,567.89"
    with override("de"):
        assert shown.render(Context({"amount": amount})) == "−1.234.567,891 −1.234.567,89"


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_a_browser_reads_as_a_number_has_a_point_in_each_language(visitor, option, language):
    """Of pictures, whose places are SVG's, and of fields."""
    place_open(visitor.customer, option)
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    PortfolioValue.objects.bulk_create(
        PortfolioValue(
            customer=visitor.customer,
            period=now - timedelta(hours=hours),
            at=now - timedelta(hours=hours),
            balance=Decimal(977),
            worth=Decimal(hours),
            paid_in=Decimal(990),
            holds=True,
        )
        for hours in range(1, 30)
    )
    answer = visitor.http.get(
        "/trade/", {"symbol": option.symbol, "usdt": "100.5"}, headers={"Accept-Language": language}
    )
    html = answer.content.decode()
    places = re.findall(r' (?:x|y|x1|x2|y1|y2|cx|cy|height|width|d|value)="([^"]*)"', html)
    assert [place for place in places if re.search(r"\d,\d", place)] == []
    assert any("." in place for place in places)
    assert 'value="100.5"' in html
    assert html.count("<polyline") >= 4
