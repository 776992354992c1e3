"""The fields of a line of proxy-logging, whatever a log shipper or a container runtime put around it.

proxy-logging quotes each field, and puts one blank between two. So the line ends on both sides at the first letter
that no field has: a quotation mark, a comma, a backslash, an equals sign. What JSON, CSV, syslog or journald put
there is no part of a field then, and need not be understood.
"""
import re
from calendar import timegm
from functools import lru_cache
from time import strptime
from typing import NamedTuple

# what Swift's quote leaves as it is, in any of its versions
LETTERS = r'-A-Za-z0-9_.~%:/{}'
FIELD, CLIENT = f'[{LETTERS}]+', f'[{LETTERS.replace("/", "")}]+'
COUNT, SECONDS = r'-|\d+', r'\d+(?:\.\d+)?'
# a syslog tag, and no blank after it
TAG = r'(?:[\w./-]+(?:\[\d+\])?:(?=\d+\.\d+\.\d+\.\d+ ))?'
WHEN = r'\d\d/[A-Z][a-z]{2}/\d{4}/\d\d/\d\d/\d\d'
# Older versions of Swift have fewer fields at the end, and then nothing else: what is behind a blank must not be
# taken for the next one. What a template adds at the end is left.
END = f'(?![{LETTERS}= ])'
USER = f' ({FIELD})(?![{LETTERS}=])'
POLICY = f' ({COUNT})(?:{USER}|{END})'
TIMES = f' ({SECONDS}) ({SECONDS})(?:{POLICY}|{END})'
LINE = re.compile(
    rf'(?:^|[^{LETTERS}]){TAG}({CLIENT}) {FIELD} ({WHEN}) ({FIELD}) ({FIELD}) (?:HTTP/[\d.]+|-) (\d{{3}}) '
    rf'{FIELD} {FIELD} {FIELD} ({COUNT}) ({COUNT}) {FIELD} ({FIELD}) {FIELD} {SECONDS} ({FIELD})'
    rf'(?: {FIELD}(?:{TIMES}|{END})|{END})')
# journalctl -o export and verbose: the other fields of an entry
JOURNAL = re.compile(r'\s*_{0,2}[A-Z][A-Z0-9_]*=')


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

    :raises ValueError: not a line of proxy-logging
    """
    text = text.rstrip()
    # some programs quote slashes in JSON
    found = LINE.search(text) or (LINE.search(text.replace(r'\/', '/')) if r'\/' in text else None)
    if found is not None:
        return Fields(*found.groups())
    if JOURNAL.match(text):
        return None
    raise ValueError(text)


# lines come in the order of time
@lru_cache(maxsize=1000)
def seconds_of(date: str) -> float:
    return float(timegm(strptime(date, '%d/%b/%Y/%H/%M/%S')))
