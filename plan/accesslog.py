"""Swift's access log, as proxy-logging writes it: from lines to the reads that the filter would have seen.

Counted are GETs of objects that were answered with 200 or 206, those too that SLO, DLO or symlink make on behalf
of a client: the filter stands right of them. Their lines carry no client; it is the one of the transaction's first
request. GETs that the filter passes by are not counted, as far as a line tells that.
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
# seconds, of no request, and bytes, of no object
LONGEST, LARGEST = 30 * 86400, 2**50
# of S3: what is not the object itself
SUBRESOURCES = {'acl', 'attributes', 'legal-hold', 'retention', 'tagging', 'torrent', 'uploadId', 'uploads'}
# Who makes GETs of objects with X-Newest, which the filter passes by: copy, and versioned_writes, legacy and not.
NEWEST = {'SSC', 'VW', 'OV'}
# Who goes on with the headers of the request that it answers: symlink, to a link's target.
FOLLOWING = 'SYM'
# Who makes the client's own request anew, under its own name, where force_swift_request_proxy_log has it logged.
TRANSLATED = 'S3'

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


class LogRead(NamedTuple):
    """One GET of an object.

    :param at: seconds
    :param bytes: of the whole object, as far as they are known
    :param part: a range of it was answered, with a 206
    """
    at: float
    client: str
    account: str
    container: str
    object: str
    bytes: int
    part: bool = False


class Line(NamedTuple):
    """What a line tells of a GET.

    :param read: with the bytes that were sent
    :param transaction: '' where there is none
    :param source: who made the request on behalf of a client; '' where the client itself did
    """
    read: LogRead
    transaction: str
    source: str


class Log(NamedTuple):
    """
    :param twice: lines that stood there once more
    :param newest: GETs with X-Newest, by which Swift copies
    """
    reads: list[LogRead]
    twice: int
    newest: int


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


# -- lines -------------------------------------------------------------------------------------------------

def parse(text: str) -> Line | None:
    """None: well formed, but no client's read of an object. :raises ValueError: not a line of proxy-logging"""
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
    # without either it is a daemon's, through a pipeline of its own
    if path is None or not (client or source):
        return None
    # a million lines have far fewer names
    client, account, container, name = map(intern, (client, *path))
    read = LogRead(at, client, account, container, name, sent, status == 206)
    return Line(read, _value(fields.transaction), intern(source))


def _client(fields) -> str:
    """Address and user. Without an address each transaction is a client of its own, as in the filter."""
    address, user = _value(fields.client), _value(fields.user or '')
    if user and not address:
        address = _value(fields.transaction)
    # versions of Swift differ in what they quote
    return unquote(f'{address} {user}'.strip())


def _value(field):
    return '' if field == ABSENT else field


def _number(field):
    return 0 if field == ABSENT else int(field)


def _object_path(field, has_policy) -> tuple[str, str, str] | None:
    """Account, container and object. The path is quoted as it was sent, and then once more for the log."""
    path, _, query = unquote(field).partition('?')
    try:
        version, rest = split_path(unquote(path), 2, 2, True)
        if valid_api_version(version):
            account, container, name = split_path(f'/{rest}', 3, 3, True)
            # Swift's own are never cached
            return None if account.startswith('.') else (account, container, name)
    except ValueError:
        return None
    # s3api's requests are logged as they came: bucket and key; no others of that shape come to a storage policy
    if not has_policy or SUBRESOURCES & parse_qs(query, keep_blank_values=True).keys():
        return None
    return '', version, rest


def reads(lines: Iterable[Line]) -> Log:
    """Each in the order of time, with its client, and with the size that the filter would see."""
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
    """In the order of time, each once: it may stand in two logs. Another request of the same transaction begins at
    another time, even where it is of the same object."""
    at, known = None, set()
    for line in sorted(lines, key=attrgetter('read.at')):
        if line.read.at != at:
            at, known = line.read.at, set()
        if line not in known:
            known.add(line)
            yield line


def _seen(lines) -> Iterator[Line]:
    """What the filter does not pass by."""
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
    """The read, and whether its bytes are less than the object's, or may be."""
    read, transaction, source = line
    if source:
        return read._replace(client=clients.get(transaction) or read.client or transaction), read.part
    if transaction in sent_for:
        # a manifest or a symlink: what the client got came from the reads that are counted by themselves
        return read._replace(bytes=max(0, read.bytes - sent_for[transaction]), part=False), True
    return read, read.part


def _transactions(lines):
    """Transaction -> bytes that were sent by requests on behalf of a client."""
    found: dict[str, int] = {}
    for read, transaction, source in lines:
        if source and transaction:
            found[transaction] = found.get(transaction, 0) + read.bytes
    return found


def _sizes(found):
    """Of each object of which it is a guess: as it was when read whole, else the most that was read."""
    sizes: dict[tuple, tuple[bool, int]] = {read[2:5]: (False, 0) for read, is_guess in found if is_guess}
    for read, is_guess in found:
        key = read[2:5]
        if key in sizes:
            sizes[key] = max(sizes[key], (not is_guess, read.bytes))
    return {key: size for key, (_, size) in sizes.items()}
