"""Files of statistical packages: Stata and SAS."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from runner.data.reading.content import Content
from runner.data.reading.dates.texts import of_stata
from runner.data.reading.formats.opened import Opened, framed
from runner.schema.forms import Form


def stata(content: Content, form: Form) -> Opened:
    """A Stata file; months, quarters and years are dated by their last day, as of any file."""
    from pandas.io.stata import StataReader

    with StataReader(BytesIO(content.whole())) as reader:
        frame = reader.read()
        formats = dict(zip(reader._varlist, reader._fmtlist, strict=True))
    notes = of_stata(frame, formats)
    return replace(framed(content, "Stata", frame), notes=notes)


def sas(content: Content, form: Form) -> Opened:
    import pandas as pd

    data = BytesIO(content.whole())
    return framed(content, "SAS", pd.read_sas(data, format="sas7bdat", encoding="infer"))
