"""Read the names that exist, read or not, as the sidecar would find them in containers' listings."""
import csv
import zlib
from collections.abc import Callable, Iterator, Sequence

from .accesslog import LARGEST, LogRead
from .traces import LogError, Trace, cells_of, opened, shown

Key = tuple[str, str, str]


class Listing:
    """Hold names as they stand in a file, a name in each line, or CSV with the columns `object` and `bytes`.

    :raises LogError:
    """

    def __init__(self, path: str):
        self._path = path
        try:
            with opened(path) as file:
                self._sizes = dict(_rows(line.strip('\ufeff\r\n') for line in file))
        except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
            raise LogError(f'{path}: {getattr(error, "strerror", None) or error}') from None
        if not self._sizes:
            raise LogError(f'{path}: no names in it')

    def of(self, traces: Sequence[Trace]) -> list[dict[Key, int] | None]:
        """Give for each trace (account, container, object) -> bytes; None: none of the names is read in it.

        The bytes are those read, or the file's, or one of the sizes of objects that were read.

        :raises LogError: where no name is read in any
        """
        found = [self._of(trace) for trace in traces]
        if not any(found):
            how = ('for access logs they must be account/container/object, or bucket/key where it is read by S3'
                   if traces[0].is_log else 'they must be as in the trace')
            raise LogError(f'{self._path}: none of its names was read; {how}')
        return found

    def _of(self, trace):
        known = sizes(trace.reads)
        usual = sorted(known.values())
        key_of = _log_key({read[2:4] for read in trace.reads}) if trace.is_log else _trace_key
        keys = {key: size for name, size in self._sizes.items() if (key := key_of(name))}
        if known.keys().isdisjoint(keys):
            return None
        return {key: known.get(key, _drawn(usual, key) if size is None else size) for key, size in keys.items()}


def _drawn(usual, key):
    """Draw one of the sizes, the same for a name each time: equal sizes would give unread names away."""
    return usual[zlib.crc32(key[2].encode('utf-8', 'replace')) % len(usual)]


def sizes(reads: list[LogRead]) -> dict[Key, int]:
    """Give the largest size of each object."""
    found: dict[Key, int] = {}
    for read in reads:
        key = read[2:5]
        found[key] = max(read.bytes, found.get(key, 0))
    return found


def _rows(lines: Iterator[str]) -> Iterator[tuple[str, int | None]]:
    first = next(lines, '')
    header = [cell.strip() for cell in cells_of(first)]
    if 'object' not in header:
        yield from ((line, None) for line in (first, *lines) if line)
        return
    name, size = header.index('object'), header.index('bytes') if 'bytes' in header else None
    for number, line in enumerate(lines, start=2):
        if not line or line.isspace():
            continue
        cells = cells_of(line)
        length = cells[size].strip() if size is not None and len(cells) == len(header) else ''
        if len(cells) != len(header) or not cells[name] or length and not _is_length(length):
            raise ValueError(f'line {number} does not fit the header {first}: {shown(line)}; bytes are a whole '
                             'number, or nothing where they are not known')
        yield cells[name], int(length) if length else None


def _is_length(text):
    return text.isascii() and text.isdecimal() and int(text) <= LARGEST


def _trace_key(name) -> Key:
    return '', '', name


def _log_key(containers: set[tuple[str, str]]) -> Callable[[str], Key | None]:
    """Make the parser of a log's names; it gives None for a name in no container that is read.

    :param containers: (account, container) that are read; of S3's buckets the log has no account
    """
    accounts = {account for account, _ in containers}

    def key(name):
        # as a log has it, or without the version
        account, _, rest = name.removeprefix('/v1/').partition('/')
        if account not in accounts and ('', account) in containers:
            account, rest = '', f'{account}/{rest}'
        container, _, name = rest.partition('/')
        return (account, container, name) if (account, container) in containers and name else None
    return key
