"""A customer in front of the trade page: what its parts and forms answer, with CSRF enforced as it is for browsers."""

import re
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from counter.models import Customer, Option


class _Fields(HTMLParser):
    """The fields of every form, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({"action": given.get("action", "")})
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1][given["name"]] = given.get("value", "")


def forms_in(html: str, address: str) -> list[dict[str, str]]:
    """The fields of each form that is sent to an address."""
    parser = _Fields()
    parser.feed(html)
    return [form for form in parser.forms if form.pop("action") == f"/trade/{address}/"]


def words_in(html: str) -> str:
    """What a page says, without its tags and with single spaces."""
    without = re.sub(r"<[^>]*>", " ", html.replace("&#x27;", "'").replace("&nbsp;", " "))
    return " ".join(without.split())


class Visitor:
    """One customer who is logged in."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.http = Client(enforce_csrf_checks=True)
        self.http.force_login(customer.user)

    def get(self, address: str = "", **query: Any) -> str:
        """What an address shows, which has to be there."""
        answer = self.http.get(f"/trade/{address}", query_params=query, headers={"HX-Request": "true"})
        assert answer.status_code in (200, 286), (address, answer.status_code, answer.content)
        return answer.content.decode()

    def send(self, address: str, fields: dict[str, str]) -> Any:
        """Send a form, as htmx does."""
        return self.http.post(f"/trade/{address}/", fields, headers={"HX-Request": "true"})

    def firm(self, option: Option | None = None, **changes: Any) -> dict[str, str]:
        """The order form of a ticket with a firm price: of an option, or of the position that `changes` names."""
        chosen = {"position": changes.pop("position")} if option is None else {"symbol": option.symbol}
        [draft] = forms_in(self.get("ticket/", **chosen), "quotes")
        answer = self.send("quotes", {**draft, **{name: str(value) for name, value in changes.items()}})
        assert answer.status_code == 200, answer.content.decode()
        [order] = forms_in(answer.content.decode(), "orders")
        return order
