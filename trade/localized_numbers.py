"""Numbers with the separators of the reader's language: 1,234.50, and 1.234,50 in German."""

from django.utils.translation import get_language

GERMAN = str.maketrans(",.", ".,")


def written(number: str) -> str:
    """A text of `trade.numbers` as it is written in the language of now."""
    return number.translate(GERMAN) if get_language() == "de" else number
