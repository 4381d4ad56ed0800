"""The languages of people: which one is spoken now, its sentences, and its numbers and dates.

The code speaks plain English. A sentence is translated when it is shown, never when it is stored or logged:
the same row is German for one reader and English for another.
"""

from returns_pipeline.languages.categories import category, category_names
from returns_pipeline.languages.current import DEFAULT, LANGUAGES, current, negotiated, prefer, use
from returns_pipeline.languages.formats import date_text, decimal, moment_text, number, percent, short
from returns_pipeline.languages.sentences import (
    N_,
    Words,
    everywhere,
    gettext,
    ngettext,
    plural,
    retold,
    script_sentences,
)

__all__ = [
    "DEFAULT",
    "LANGUAGES",
    "N_",
    "Words",
    "category",
    "category_names",
    "current",
    "date_text",
    "decimal",
    "everywhere",
    "gettext",
    "moment_text",
    "negotiated",
    "ngettext",
    "number",
    "percent",
    "plural",
    "prefer",
    "retold",
    "script_sentences",
    "short",
    "use",
]
