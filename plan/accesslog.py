"""Turn lines of Swift's access log, as proxy-logging writes it, into the reads that the filter would have seen.

GETs of objects answered with 200 or 206 count, also GETs by SLO, DLO or symlink on behalf of a client: the filter
stands right of them. Their lines carry no client; the transaction's first request tells it. GETs that the
filter passes by do not count, as far as a line tells that.

proxy-logging quotes each field, and puts one blank between two. So the line ends on both sides at the first letter
that no field has: a quotation mark, a comma, a backslash, an equals sign. JSON, CSV, syslog or journald around it
then belong to no field, and need not be understood.
"""
import re
from calendar import timegm
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from sys import intern
from time import strptime
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from swift.common.constraints import valid_api_version
from swift.common.utils import split_path

ABSENT = '-'
# more seconds than any request takes, and more bytes than any object has
LONGEST, LARGEST = 30 * 86400, 2**50
# of S3: parameters of requests for something else than the object
SUBRESOURCES = {'acl', 'attributes', 'legal-hold', 'retention', 'tagging', 'torrent', 'uploadId', 'uploads'}
# Sources of GETs with X-Newest, which the filter passes by: copy, and versioned_writes, legacy and not.
NEWEST = {'SSC', 'VW', 'OV'}
# Source that goes on with the client's headers: symlink, to a link's target.
FOLLOWING = 'SYM'
# Source that makes the client's request anew; logged under force_swift_request_proxy_log.
TRANSLATED = 'S3'

# letters that Swift's quote leaves, in any of its versions
LETTERS = r'-A-Za-z0-9_.~%:/{}'
FIELD, CLIENT = f'[{LETTERS}]+', f'[{LETTERS.replace("/", "")}]+'
COUNT, SECONDS = r'-|\d+', r'\d+(?:\.\d+)?'
# a syslog tag, and no blank after it
TAG = r'(?:[\w./-]+(?:\[\d+\])?:(?=\d+\.\d+\.\d+\.\d+ ))?'
WHEN = r'\d\d/[A-Z][a-z]{2}/\d{4}/\d\d/\d\d/\d\d'
# Older versions of Swift have fewer fields at the end, and then nothing else: no text behind a blank may be taken
# for the next field. Additions of a template at the end are left.
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


class LogRead(NamedTuple):
    """One GET of an object.

    :param at: seconds
    :param bytes: size of the whole object, as far as it is known
    :param part: a range was answered, with a 206
    """
    at: float
    client: str
    account: str
    container: str
    object: str
    bytes: int
    part: bool = False


class Line(NamedTuple):
    """A GET in the log.

    :param read: with the bytes that were sent
    :param transaction: '': none
    :param source: middleware that made the request on behalf of a client; '': the client itself
    """
    read: LogRead
    transaction: str
    source: str


class Log(NamedTuple):
    """
    :param twice: repeated lines
    :param newest: GETs with X-Newest, by which Swift copies
    """
    reads: list[LogRead]
    twice: int
    newest: int


class Fields(NamedTuple):
    """The fields of a line as written; None: an older version lacks the field."""
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
        """Time when the request began; of old versions when it ended, in whole seconds."""
        return seconds_of(self.date) if self.start is None else float(self.start)


def fields_of(text: str) -> Fields | None:
    """Split a line; None: part of a journal entry without a line of proxy-logging.

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


# -- lines -------------------------------------------------------------------------------------------------

def parse(text: str) -> Line | None:
    """Parse a line; None: not a client's read of an object. :raises ValueError: not a line of proxy-logging"""
    fields = fields_of(text)
    if fields is None:
        return None
    at, status, sent = fields.at, int(fields.status), _number(fields.sent)
    # where a template lacks a field, others stand in the places of these
    if fields.end is not None and not 0 <= float(fields.end) - at < LONGEST or sent > LARGEST:
        raise ValueError(text)
    # with a body of its own a GET passes the cache by
    if fields.method != 'GET' or status not in (200, 206) or _number(fields.received):
        return None
    if not fields.path.startswith('/'):
        raise ValueError(text)
    path = _object_path(fields.path, fields.policy is not None and fields.policy != ABSENT)
    client, source = _client(fields), _value(fields.source)
    # a line without either is a daemon's, through a pipeline of its own
    if path is None or not (client or source):
        return None
    # a million lines have far fewer names
    client, account, container, name = map(intern, (client, *path))
    read = LogRead(at, client, account, container, name, sent, status == 206)
    return Line(read, _value(fields.transaction), intern(source))


def _client(fields) -> str:
    """Give address and user. Without an address each transaction is a client, as in the filter."""
    address, user = _value(fields.client), _value(fields.user or '')
    if user and not address:
        address = _value(fields.transaction)
    # versions of Swift quote different fields
    return unquote(f'{address} {user}'.strip())


def _value(field):
    return '' if field == ABSENT else field


def _number(field):
    return 0 if field == ABSENT else int(field)


def _object_path(field, has_policy) -> tuple[str, str, str] | None:
    """Give account, container and object of a path, which is quoted as sent, and then once more for the log."""
    path, _, query = unquote(field).partition('?')
    try:
        version, rest = split_path(unquote(path), 2, 2, True)
        if valid_api_version(version):
            account, container, name = split_path(f'/{rest}', 3, 3, True)
            # Swift's own accounts are never cached
            return None if account.startswith('.') else (account, container, name)
    except ValueError:
        return None
    # s3api's requests are logged as they came: bucket and key; no others of that shape come to a storage policy
    if not has_policy or SUBRESOURCES & parse_qs(query, keep_blank_values=True).keys():
        return None
    return '', version, rest


def reads(lines: Iterable[Line]) -> Log:
    """Give the reads in the order of time, with clients, and sizes as the filter would see them."""
    lines = list(lines)
    once = list(_once(lines))
    seen = list(_seen(once))
    sent_for = _transactions(seen)
    clients = {transaction: read.client for read, transaction, source in seen
               if transaction in sent_for and not source}
    found = [_as_seen(line, sent_for, clients) for line in seen]
    sizes = _sizes(found)
    return Log([read._replace(bytes=sizes[read[2:5]]) if is_guess else read for read, is_guess in found],
               len(lines) - len(once), sum(line.source in NEWEST for line in once))


def _once(lines) -> Iterator[Line]:
    """Yield the lines in the order of time, each once: it may stand in two logs. Another request of the same
    transaction begins at another time, even for the same object."""
    at, known = None, set()
    for line in sorted(lines, key=attrgetter('read.at')):
        if line.read.at != at:
            at, known = line.read.at, set()
        if line not in known:
            known.add(line)
            yield line


def _seen(lines) -> Iterator[Line]:
    """Yield the lines that the filter does not pass by."""
    newest = {line.transaction for line in lines if line.source in NEWEST}
    translated = {line.transaction for line in lines if line.source == TRANSLATED}
    for line in lines:
        if line.source in NEWEST or line.source == FOLLOWING and line.transaction in newest:
            continue
        if line.source == TRANSLATED:
            yield line._replace(source='')
        elif line.read.account or line.transaction not in translated:
            yield line


def _as_seen(line, sent_for, clients) -> tuple[LogRead, bool]:
    """Give the read, and tell whether its bytes may be less than the object's."""
    read, transaction, source = line
    if source:
        return read._replace(client=clients.get(transaction) or read.client or transaction), read.part
    if transaction in sent_for:
        # a manifest or a symlink: the bytes sent come from reads that count by themselves
        return read._replace(bytes=max(0, read.bytes - sent_for[transaction]), part=False), True
    return read, read.part


def _transactions(lines):
    """Sum, for each transaction, the bytes sent by requests on behalf of a client."""
    found: dict[str, int] = {}
    for read, transaction, source in lines:
        if source and transaction:
            found[transaction] = found.get(transaction, 0) + read.bytes
    return found


def _sizes(found):
    """Give the size of each object with a guessed one: its size when read whole, else the most that was read."""
    sizes: dict[tuple, tuple[bool, int]] = {read[2:5]: (False, 0) for read, is_guess in found if is_guess}
    for read, is_guess in found:
        key = read[2:5]
        if key in sizes:
            sizes[key] = max(sizes[key], (not is_guess, read.bytes))
    return {key: size for key, (_, size) in sizes.items()}
