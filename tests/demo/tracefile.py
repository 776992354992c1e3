"""Traces: who reads which object, how long after the read before. Read from a file or recorded."""
import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# each object is made in memory, several at the same time
LARGEST = 256 * 2**20


class TraceError(ValueError):
    """A trace that cannot be used; the message names file and line."""


@dataclass(frozen=True)
class TraceRead:
    """One GET. `offset` in seconds since the trace began."""
    offset: float
    client: str
    object: str
    size: int


@dataclass(frozen=True)
class Step:
    """What one client does: wait for `gap` seconds, then read the object."""
    gap: float
    object: str


def read_trace(path: Path) -> list[TraceRead]:
    """The reads of a CSV file with the header `offset_ms[,client],object,bytes`, in the order of time."""
    try:
        with open(path, newline='', encoding='utf-8') as file:
            rows = csv.DictReader(file)
            missing = {'offset_ms', 'object', 'bytes'} - set(rows.fieldnames or ())
            if missing:
                raise TraceError(f'{path}: the header has no {" and no ".join(sorted(missing))}; '
                                 'it must be offset_ms[,client],object,bytes')
            reads = [read_row(path, rows.line_num, row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f'{path}: {error}') from error
    if not reads:
        raise TraceError(f'{path}: no reads in it')
    return sorted(reads, key=lambda read: read.offset)


def read_row(path: Path, line: int, row: dict) -> TraceRead:
    try:
        offset, size = float(row['offset_ms']), int(row['bytes'])
    except (TypeError, ValueError):
        raise TraceError(f'{path}, line {line}: offset_ms and bytes must be numbers') from None
    # the comparison is written so that NaN fails it
    if not (0 <= offset < float('inf')) or size < 0 or not row['object']:
        raise TraceError(f'{path}, line {line}: offset_ms and bytes must not be negative, object not empty')
    if size > LARGEST:
        raise TraceError(f'{path}, line {line}: bytes must be at most {LARGEST:,}; objects are made in memory')
    return TraceRead(offset / 1000, row.get('client') or '', row['object'], size)


def sizes(reads: Iterable[TraceRead]) -> dict[str, int]:
    """Bytes of each object; the largest where a trace has several."""
    result: dict[str, int] = {}
    for read in reads:
        result[read.object] = max(read.size, result.get(read.object, 0))
    return result


def steps(reads: Iterable[TraceRead], speed: float = 1) -> dict[str, list[Step]]:
    """What each client does, its waits divided by `speed`. The first wait is from the trace's beginning."""
    before: dict[str, float] = {}
    result: dict[str, list[Step]] = {}
    for read in reads:
        gap = (read.offset - before.get(read.client, 0)) / speed
        result.setdefault(read.client, []).append(Step(gap, read.object))
        before[read.client] = read.offset
    return result
