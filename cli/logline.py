"""The fields of a line of proxy-logging, whatever a log shipper or a container runtime put around it.

proxy-logging quotes each field, so that a field has no blank, quotation mark, comma or equals sign in it. What
stands before the line ends with a blank or another letter that no field has; a field that ends otherwise is not
whole: then the line is in JSON, or in quotation marks, and is taken out of there.
"""
import json
import re
from calendar import timegm
from collections.abc import Iterator
from functools import lru_cache
from time import strptime
from typing import NamedTuple

# of fields: what Swift's quote leaves as it is, in any of its versions
FIELD = r'[A-Za-z0-9_.~%:/{}-]+'
CLIENT = r'[A-Za-z0-9_.~%:{}-]+'
COUNT, SECONDS = r'-|\d+', r'\d+(?:\.\d+)?'
# a syslog tag, and no blank after it
TAG = r'(?:[\w./-]+(?:\[\d+\])?:(?=\d+\.\d+\.\d+\.\d+ ))?'
WHEN = r'\d\d/[A-Z][a-z]{2}/\d{4}/\d\d/\d\d/\d\d'
# Older versions of Swift have fewer fields at the end, and then nothing else: what is behind the line must not be
# taken for the next one. What a template adds at the end is left.
LINE = re.compile(
    rf'(?:^|[\s>|\]=\ufeff]){TAG}({CLIENT}) {FIELD} ({WHEN}) ({FIELD}) ({FIELD}) (?:HTTP/[\d.]+|-) (\d{{3}}) '
    rf'{FIELD} {FIELD} {FIELD} ({COUNT}) ({COUNT}) {FIELD} ({FIELD}) {FIELD} {SECONDS} ({FIELD})'
    rf'(?: {FIELD}(?: ({SECONDS}) ({SECONDS})(?: ({COUNT})(?: ({FIELD})(?!\S)|\s*$)|\s*$)|\s*$)|\s*$)')
# as no line of another program has it; in JSON a slash may be quoted
DATE = re.compile(r'\d\d\\?/[A-Z][a-z]{2}\\?/\d{4}\\?/\d\d\\?/\d\d')
JSON = re.compile(r'\{\s*"')
QUOTED = re.compile(r'''(["'])((?:(?!\1)[^\\]|\\.)*)\1''')
# what programs make of the end of a line, and colours
RESIDUE = re.compile(r'(?:\\[nrt0]|\\u0000|#0\d\d|[\s\0]|\x1b\[[\d;]*m)+$')
# journalctl -o export: the other fields of an entry
JOURNAL = re.compile(r'\s*_{0,2}[A-Z][A-Z0-9_]*=')
# one wrapped in another
DEPTH = 3


class Fields(NamedTuple):
    """As they are written, but None for what older versions do not have."""
    client: str
    date: str
    method: str
    path: str
    status: str
    received: str
    sent: str
    transaction: str
    source: str
    start: str | None
    end: str | None
    policy: str | None
    user: str | None

    @property
    def at(self) -> float:
        """When the request began, seconds; of old versions when it ended, in whole seconds."""
        return seconds_of(self.date) if self.start is None else float(self.start)


def fields_of(text: str) -> Fields | None:
    """None: nothing of proxy-logging, but no line by itself either.

    :raises ValueError: not a line of proxy-logging, or something around it that is not known
    """
    found = _found(text, DEPTH)
    if found is not None:
        return Fields(*found.groups())
    if JOURNAL.match(text) and DATE.search(text) is None:
        return None
    raise ValueError(text)


def _found(text, depth):
    found = LINE.search(text)
    if found is None and depth and DATE.search(text):
        for inner in _inside(text):
            if found := _found(inner, depth - 1):
                break
    return found


def _inside(text) -> Iterator[str]:
    """What may be the line in something that was put around it."""
    begin = JSON.search(text)
    if begin is not None:
        yield from _strings(text, begin.start())
    for found in QUOTED.finditer(text):
        yield RESIDUE.sub('', found.group(2)).replace(r'\/', '/')
    yield RESIDUE.sub('', text)


def _strings(text, begin) -> Iterator[str]:
    """All that are values in a JSON document, which begins there."""
    try:
        waiting = [json.JSONDecoder().raw_decode(text, begin)[0]]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield RESIDUE.sub('', value)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


# lines come in the order of time
@lru_cache(maxsize=1000)
def seconds_of(date: str) -> float:
    return float(timegm(strptime(date, '%d/%b/%Y/%H/%M/%S')))
