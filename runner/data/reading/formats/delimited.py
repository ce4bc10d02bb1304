"""Text files with delimiters, whatever these are."""

from __future__ import annotations

from runner.data.reading.content import WESTERN, Content
from runner.data.reading.delimited.layout import layout_of, on_marks
from runner.data.reading.delimited.text import Text
from runner.data.reading.formats.opened import Opened
from runner.schema.forms import Form


def of_text(content: Content, form: Form) -> Opened:
    """A text file with delimiters."""
    layout = layout_of(content, form)
    text = Text(content, form, layout)

    def again(other: Content) -> Opened | None:
        alike = text.again(other)
        return Opened(other, "CSV", layout.names, alike.load, text=alike) if alike else None

    notes = on_marks(layout, form)
    if layout.preamble:
        lines = "1 line" if layout.preamble == 1 else f"{layout.preamble} lines"
        notes.append(f"{lines} above the names of the columns are not read.")
    if layout.encoding == WESTERN and form.encoding is None:
        notes.append(text.on_encoding())
    return Opened(content, "CSV", layout.names, text.load, layout.upper, notes, again, text)
