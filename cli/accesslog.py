"""Swift's access log, as proxy-logging writes it: from lines to the reads that the filter would have seen.

The fields are those of the default `log_msg_template`, separated by blanks and each quoted once more; what stands
before them in the line (syslog's time, host and program) does not matter. Counted are GETs of objects that were
answered with 200 or 206, those too that SLO, DLO or symlink make on behalf of a client: the filter stands right of
them. Their lines carry no client; it is the one of the transaction's first request.
"""
import re
from collections.abc import Iterable, Iterator
from sys import intern
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from swift.common.constraints import valid_api_version
from swift.common.utils import split_path

BEGIN = re.compile(r'(?:^|\s)(\S+) \S+ \d\d/[A-Z][a-z]{2}/\d{4}/\d\d/\d\d/\d\d ')
NOTHING = '-'
# of the fields after the date; older versions of Swift have no policy index and no user
METHOD, PATH, STATUS, SENT, TRANSACTION, SOURCE, START, END, POLICY, USER = 0, 1, 3, 8, 10, 13, 15, 16, 17, 18
# seconds, of no request, and bytes, of no object
LONGEST, LARGEST = 30 * 86400, 2**50
# of S3: what is not the object itself
SUBRESOURCES = {'acl', 'attributes', 'legal-hold', 'retention', 'tagging', 'torrent', 'uploadId', 'uploads'}


class Read(NamedTuple):
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
    read: Read
    transaction: str
    source: str


def parse(text: str) -> Line | None:
    """None: well formed, but no client's read of an object. :raises ValueError: not a line of proxy-logging"""
    begin = BEGIN.search(text)
    if begin is None:
        raise ValueError(text)
    fields = text[begin.end():].split()
    if len(fields) <= END:
        raise ValueError(text)
    start, status, sent = float(fields[START]), int(fields[STATUS]), _number(fields[SENT])
    # what NaN fails too; where a template lacks a field, others stand in the places of these two
    if not (0 <= start < float('inf') and abs(float(fields[END]) - start) < LONGEST) or not 0 <= sent <= LARGEST:
        raise ValueError(text)
    if fields[METHOD] != 'GET' or status not in (200, 206):
        return None
    client, source = _value(begin.group(1)), _value(fields[SOURCE])
    path = _object_path(fields[PATH], len(fields) > POLICY and fields[POLICY].isdecimal())
    # without either it is a daemon's, through a pipeline of its own
    if path is None or not (client or source):
        return None
    user = _value(fields[USER]) if len(fields) > USER else ''
    # a million lines have far fewer names
    client, account, container, name = map(intern, (f'{client} {user}'.strip(), *path))
    read = Read(start, client, account, container, name, sent, status == 206)
    return Line(read, _value(fields[TRANSACTION]), source)


def _value(field):
    return '' if field == NOTHING else field


def _number(field):
    return 0 if field == NOTHING else int(field)


def _object_path(field, has_policy) -> tuple[str, str, str] | None:
    """Account, container and object. The path is quoted as it was sent, and then once more for the log."""
    path, _, query = unquote(field).partition('?')
    try:
        version, rest = split_path(unquote(path), 2, 2, True)
        if valid_api_version(version):
            account, container, name = split_path(f'/{rest}', 3, 3, True)
            return account, container, name
    except ValueError:
        return None
    # s3api's requests are logged as they came: bucket and key; no others of that shape come to a storage policy
    if not has_policy or SUBRESOURCES & parse_qs(query, keep_blank_values=True).keys():
        return None
    return '', version, rest


def reads(lines: Iterable[Line]) -> Iterator[Read]:
    """Each with its client, and with the size that the filter would see."""
    lines = list(lines)
    sent_for = _transactions(lines)
    clients = {transaction: read.client for read, transaction, source in lines
               if transaction in sent_for and not source}
    found = [_as_seen(line, sent_for, clients) for line in lines]
    sizes = _sizes(found)
    return (read._replace(bytes=sizes[read[2:5]]) if is_guess else read for read, is_guess in found)


def _as_seen(line, sent_for, clients) -> tuple[Read, bool]:
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
