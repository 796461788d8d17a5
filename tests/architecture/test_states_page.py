"""docs/states.md and its two pages of diagrams show what the models declare."""

from pathlib import Path

import pytest

from cockpit.management.commands.states import states_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"ends": "states.md", "counter": "states-counter.md", "desk": "states-desk.md"}


@pytest.mark.parametrize("page", PAGES)
def test_the_page_of_states_is_what_the_models_declare(page):
    assert (DOCS / PAGES[page]).read_text() == states_page(page), (
        f"run: python manage.py states {page} > docs/{PAGES[page]}"
    )
