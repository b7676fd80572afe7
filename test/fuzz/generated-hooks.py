"""Dates and times of generated services: from the year 1000, and with milliseconds, as MySQL has them."""

import datetime

import schemathesis
from hypothesis import strategies

FIRST = datetime.date(1000, 1, 1)

schemathesis.openapi.format("date", strategies.dates(min_value=FIRST).map(datetime.date.isoformat))
schemathesis.openapi.format(
    "date-time",
    strategies.datetimes(min_value=datetime.datetime(1000, 1, 1)).map(
        lambda moment: moment.isoformat(timespec="milliseconds") + "Z"
    ),
)
