"""The pages of configuration show the variables that the settings declare, and those that the tools read."""

import re
from pathlib import Path

from config.environment import Subject
from config.management.commands.configuration import TOOLS, configuration_page, trading_page
from tools.chaos.options import read_options
from tools.demo.sizes import read_sizes
from tools.stack.programs import WEB_PORT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
OF_TRADING = PAGE.with_name("configuration-trading.md")


def test_the_page_is_what_the_settings_declare():
    assert PAGE.read_text() == configuration_page(), (
        "run: python manage.py configuration > docs/configuration.md"
    )
    assert OF_TRADING.read_text() == trading_page(), (
        "run: python manage.py configuration trading > docs/configuration-trading.md"
    )


def test_every_declared_variable_is_on_one_page():
    for subject in Subject.declared:
        for variable in subject.variables:
            row = f"\n| `{variable.name}` |"
            assert (configuration_page() + trading_page()).count(row) == 1, variable.name


def test_every_variable_is_declared_once():
    names = [variable.name for subject in Subject.declared for variable in subject.variables]
    assert len(names) > 80
    assert len(names) == len(set(names))


def test_a_declaration_that_is_added_or_changed_is_missed_on_the_page(monkeypatch):
    monkeypatch.setattr(Subject, "declared", [*Subject.declared])
    Subject("A new subject").count("A_NEW_VARIABLE", "3", "what it means")
    assert "| `A_NEW_VARIABLE` | 3 | 1 to 1,000,000, whole | what it means |" in configuration_page()
    assert "A_NEW_VARIABLE" not in PAGE.read_text()


def test_the_defaults_of_the_tools_are_theirs():
    demo, chaos = read_sizes({}), read_options({})
    shown = {
        name: default
        for names, defaults in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", TOOLS, re.MULTILINE)
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=False)
    }
    assert [shown[f"DEMO_{name}"] for name in ("ORDERS", "CUSTOMERS", "SECONDS")] == [
        str(number) for number in (demo.orders, demo.customers, demo.seconds)
    ]
    assert [float(shown[f"CHAOS_{name}"]) for name in ("SEED", "MINUTES", "ORDERS_PER_S")] == [
        chaos.seed,
        chaos.minutes,
        chaos.orders_per_s,
    ]
    assert shown["PORT"] == str(WEB_PORT)
