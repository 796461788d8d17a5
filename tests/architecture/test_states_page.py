"""docs/states.md shows the graphs that the models declare."""

from pathlib import Path

from cockpit.management.commands.states import state_diagrams

PAGE = Path(__file__).resolve().parents[2] / "docs" / "states.md"


def test_the_page_of_state_diagrams_is_what_the_models_declare():
    assert PAGE.read_text() == state_diagrams(), "run: python manage.py states > docs/states.md"
