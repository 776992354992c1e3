"""Read access logs and traces, plain, gzipped or from standard input."""
import csv
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from sys import intern

from . import accesslog
from .accesslog import LARGEST, LogRead

STDIN = '-'
GZIP = b'\x1f\x8b'
COLUMNS = 'offset_ms[,client],object,bytes'
NO_LINES = 'there are no lines in it'
# first bytes of files that cannot be read
PACKED = {b'BZh': 'bzip2', b'\xfd7zXZ': 'xz', b'\x28\xb5\x2f\xfd': 'zstd', b'\xff\xfe': 'UTF-16',
          b'\xfe\xff': 'UTF-16'}
# characters of a broken line that are shown
SHOWN = 200
# logs of one trace that are named one by one
NAMED = 3
# least reads, and share of clients to reads, at which a log shows no sequences
MANY, OWN = 100, 0.9
# lines between two calls of `progress`
STEP = 100_000


class LogError(Exception):
    """Name in one sentence an unusable file and its fault."""


@dataclass(frozen=True)
class Trace:
    """Reads in the order of time.

    :param is_log: made of access logs, so that accounts and containers are known
    :param notes: findings about the files, a sentence each
    """
    name: str
    reads: list[LogRead]
    is_log: bool
    notes: list[str] = field(default_factory=list)


def read_all(names: Iterable[str], progress: Callable[[str], object]) -> list[Trace]:
    """Read each trace by itself, and all access logs as one, since they are parts of the same.

    :raises LogError:
    """
    names = list(names)
    _refuse_twice(names)
    files = [_File(name, progress) for name in names]
    empty = [file for file in files if file.is_empty]
    if len(empty) == len(files):
        raise LogError(f'{empty[0].name}: {NO_LINES}')
    logs = [file for file in files if not file.is_trace and not file.is_empty]
    traces = [_trace(file) for file in files if file.is_trace and not file.is_empty]
    if logs:
        traces.append(_log(_together([file.name for file in logs]), logs))
    # such as a log that has just been rotated
    traces[-1].notes.extend(f'{file.name}: {NO_LINES}' for file in empty)
    return traces


def _refuse_twice(names):
    """Refuse a file given twice: all its reads would be repeated."""
    seen = set()
    for name in names:
        path = name if name == STDIN else os.path.realpath(name)
        if path in seen:
            raise LogError(f'{_called(name)} is given twice')
        seen.add(path)


def _called(name):
    # a file's name need not be text, nor harmless to a terminal
    text = name.encode('utf-8', 'replace').decode()
    return 'standard input' if name == STDIN else ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _together(names):
    if len(names) <= NAMED:
        return ', '.join(names)
    return f'{names[0]}, {names[1]} and {len(names) - 2} more'


def _trace(file):
    reads, notes = file.rows, list(file.notes())
    steps = [before.at - after.at for before, after in zip(reads, reads[1:], strict=False) if after.at < before.at]
    if steps:
        times = 'once' if len(steps) == 1 else f'{len(steps):,} times'
        notes.append(f'{file.name}: the clock runs backwards {times}, by {max(steps):,.3g} s at most; '
                     'the reads were put in the order of time')
    return Trace(file.name, sorted(reads, key=lambda read: read.at), False, notes)


def _log(name, files):
    """Join logs into one trace. Lines stand in the order in which requests ended, so times may run backwards."""
    log = accesslog.reads(line for file in files for line in file.rows)
    if not log.reads:
        raise LogError(f'{name}: no GET of an object was answered with 200 or 206 in it'
                       + (', but of those by which Swift copies' if log.newest else ''))
    notes = [note for file in files for note in file.notes()]
    if log.twice:
        notes.append(f'{name}: lines that stand there more than once are counted once; {log.twice:,} were left '
                     'out')
    if log.newest:
        notes.append(f'{name}: GETs by which Swift copies objects, or keeps versions of them, are none for a '
                     f'cache; {log.newest:,} were left out')
    if len(log.reads) >= MANY and len({read.client for read in log.reads}) > OWN * len(log.reads):
        notes.append(f'{name}: nearly each read has a client of its own, so that no sequence can be seen in it; '
                     'look whether the first fields of its lines are the addresses of clients')
    return Trace(name, log.reads, True, notes)


class _File:
    """Hold the rows of a file, and its unreadable lines."""

    def __init__(self, name: str, progress: Callable[[str], object]):
        self.name = _called(name)
        self.is_trace = False
        self.rows: list = []
        self._lines = 0
        self._broken = 0
        self._first_broken = ''
        try:
            with opened(name) as file:
                self._read(file, progress)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise LogError(f'{self.name}: no whole gzip file, broken after {self._lines:,} lines: '
                           f'{error}') from None
        except OSError as error:
            raise LogError(f'{self.name}: {error.strerror or error}') from None
        if self._broken == self._lines and not self.is_empty:
            raise LogError(self._unknown())

    @property
    def is_empty(self) -> bool:
        return not self._lines

    def _read(self, file, progress):
        parse: Callable = accesslog.parse
        for number, text in enumerate(file, start=1):
            text = text.strip('\ufeff\r\n')
            if not text or text.isspace():
                continue
            if not self._lines and not self.is_trace and _is_header(text):
                self.is_trace, parse = True, _columns(self.name, text)
                continue
            self._add(number, text, parse)
            if number % STEP == 0:
                progress(f'{self.name}: {number:,} lines')

    def _add(self, number, text, parse):
        self._lines += 1
        try:
            row = parse(text)
        except (ValueError, csv.Error):
            self._broken += 1
            self._first_broken = self._first_broken or f'{number:,}: {shown(text)}'
            return
        if row is not None:
            self.rows.append(row)

    def _unknown(self):
        if not self._lines:
            return f'{self.name}: {NO_LINES}'
        if self.is_trace:
            return f'{self.name}: no line fits the header {COLUMNS}; the first is line {self._first_broken}'
        return (f"{self.name}: neither an access log of Swift's proxy-logging in its default format nor a trace "
                f'with the header {COLUMNS}, also not within what syslog, journald or a container runtime puts '
                f'around a line; the first line is {self._first_broken.partition(": ")[2]}')

    def notes(self) -> Iterator[str]:
        if self._broken:
            yield (f'{self.name}: {self._broken:,} of {self._lines:,} lines could not be read and are left out, '
                   f'the first is line {self._first_broken}')


def shown(text):
    """Show the beginning of a broken line, safe for a terminal."""
    return ascii(text[:SHOWN]) + ('...' if len(text) > SHOWN else '')


@contextmanager
def opened(name: str) -> Iterator[io.TextIOBase]:
    with _binary(name) as raw:
        # peek: standard input cannot be read twice
        begin = raw.peek(8)
        for magic, how in PACKED.items():
            if begin.startswith(magic):
                raise LogError(f'{_called(name)}: it is {how}; only gzip and plain UTF-8 can be read')
        binary = gzip.GzipFile(fileobj=raw) if begin.startswith(GZIP) else raw
        with io.TextIOWrapper(binary, encoding='utf-8', errors='replace') as file:
            yield file


def _binary(name):
    if name == STDIN and sys.stdin is None:
        raise LogError('standard input is closed')
    # a descriptor of our own, so that closing it leaves standard input alone
    return open(os.dup(sys.stdin.fileno()) if name == STDIN else name, 'rb')


# -- traces ------------------------------------------------------------------------------------------------

def _is_header(text):
    return 'offset_ms' in cells_of(text)


def cells_of(text):
    return next(csv.reader([text]), []) if '"' in text else text.split(',')


def _columns(name, header) -> Callable[[str], LogRead]:
    """Make the parser of a trace's lines. :raises LogError: a column is missing"""
    columns = [cell.strip() for cell in cells_of(header)]
    missing = [column for column in ('object', 'bytes') if column not in columns]
    if missing:
        raise LogError(f'{name}: the header has no {" and no ".join(missing)}; it must be {COLUMNS}')
    offset, key, size = (columns.index(column) for column in ('offset_ms', 'object', 'bytes'))
    client = columns.index('client') if 'client' in columns else None

    def parse(text):
        cells = cells_of(text)
        if len(cells) != len(columns) or not cells[key]:
            raise ValueError(text)
        at, length = float(cells[offset]), int(cells[size])
        # NaN fails the comparison
        if not abs(at) < float('inf') or not 0 <= length <= LARGEST:
            raise ValueError(text)
        return LogRead(at / 1000, '' if client is None else intern(cells[client]), '', '', intern(cells[key]),
                       length)
    return parse
