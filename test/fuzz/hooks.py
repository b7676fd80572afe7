"""What JSON Schema cannot say: a date of birth is a day from 1000-01-01 to yesterday, as MySQL and birth have it."""

import datetime

import schemathesis
from hypothesis import strategies

YESTERDAY = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)

schemathesis.openapi.format(
    "date",
    strategies.dates(min_value=datetime.date(1000, 1, 1), max_value=YESTERDAY).map(datetime.date.isoformat),
)
