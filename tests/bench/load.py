"""Load, and what it costs: wrk for reads of one object, a client of our own for lists of requests, CPU time."""
import http.client
import json
import math
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.common import BENCH, BenchError, find_program

REPORT = BENCH / 'report.lua'
TICKS = os.sysconf('SC_CLK_TCK')
# of one request; a run in which any takes longer does not count
TIMEOUT_SECONDS = 60
ERRORS = ('connect', 'read', 'write', 'status', 'timeout')


@dataclass(frozen=True)
class Load:
    """What wrk is asked to do.

    :param script: a Lua script of its own, which must end as report.lua does
    :param arguments: of that script
    """
    url: str
    clients: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    script: Path = REPORT
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadResult:
    """What came of a load. Latencies in milliseconds.

    :param failures: kind -> count; a run that has any does not count
    """
    requests: int
    bytes: int
    seconds: float
    failures: dict[str, int]
    p50: float
    p99: float
    p999: float
    longest: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def rate_of(self, size: int) -> float:
        """Bodies of `size` bytes per second; counts bodies that were under way at the end, too."""
        return self.bytes / size / self.seconds


def wrk(load: Load) -> LoadResult:
    """Run wrk with one thread. :raises BenchError: where it has no report"""
    return parse_report(_wrk(load))


def wrk_hits(load: Load) -> tuple[LoadResult, int]:
    """The same with a script that counts hits. :raises BenchError:"""
    text = _wrk(load)
    return parse_report(text), parse_hits(text)


def _wrk(load):
    # wrk counts whole seconds
    command = [find_program('wrk') or 'wrk', '-t1', f'-c{load.clients}', f'-d{max(1, round(load.seconds))}s',
               f'--timeout={TIMEOUT_SECONDS}s', '-s', str(load.script)]
    for key, value in load.headers.items():
        command += ['-H', f'{key}: {value}']
    done = subprocess.run([*command, load.url, '--', *load.arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def parse_report(text: str) -> LoadResult:
    """What report.lua wrote, among whatever else wrk says."""
    lines = [line for line in text.splitlines() if line.startswith('report ')]
    if len(lines) != 1:
        raise BenchError(f'wrk did not report:\n{text}')
    found = json.loads(lines[0].partition(' ')[2])
    return LoadResult(found['requests'], found['bytes'], found['microseconds'] / 1e6,
                      {kind: found[kind] for kind in ERRORS if found[kind]},
                      *(found[key] / 1000 for key in ('p50', 'p99', 'p99.9', 'max')))


def parse_hits(text: str) -> int:
    """What shares.lua wrote beside the report."""
    lines = [line for line in text.splitlines() if line.startswith('hits ')]
    if len(lines) != 1:
        raise BenchError(f'wrk did not tell of hits:\n{text}')
    return int(lines[0].split()[1])


# -- lists of requests -------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Request:
    """:param path: from the root, quoted"""
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass
class Sent:
    """One client's share of a list. Latencies in milliseconds."""
    latencies: list[float] = field(default_factory=list)
    failures: Counter = field(default_factory=Counter)
    bytes: int = 0
    hits: int = 0


def send(url: str, requests: Sequence[Request], clients: int, headers: dict[str, str]) -> tuple[LoadResult, int]:
    """Each request once, on `clients` connections. :returns: the run, and how many answers were hits"""
    waiting = iter(requests)
    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        shares = list(pool.map(lambda _: _send_share(url, waiting, headers), range(clients)))
    seconds = time.perf_counter() - begin
    failures = sum((share.failures for share in shares), Counter())
    latencies = sorted(one for share in shares for one in share.latencies)
    run = LoadResult(len(latencies), sum(share.bytes for share in shares), seconds, dict(failures),
              *(percentile(latencies, share) for share in (50, 99, 99.9, 100)))
    return run, sum(share.hits for share in shares)


def _send_share(url: str, waiting: Iterator[Request], headers) -> Sent:
    sent = Sent()
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    try:
        # threads may share this iterator: a list's has no frame that could be running already
        for request in waiting:
            _send_one(client, request, headers, sent)
    finally:
        client.close()
    return sent


def _send_one(client, request: Request, headers, sent: Sent) -> None:
    begin = time.perf_counter()
    try:
        client.request(request.method, request.path, request.body, {**headers, **request.headers})
        response = client.getresponse()
        sent.bytes += len(response.read())
    except (OSError, http.client.HTTPException) as error:
        client.close()
        sent.failures[type(error).__name__] += 1
        return
    sent.latencies.append((time.perf_counter() - begin) * 1000)
    sent.hits += (response.getheader('Cache-Status') or '').startswith('swiftahead; hit')
    if not 200 <= response.status < 300:
        sent.failures[str(response.status)] += 1


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that `share` percent of the values do not exceed; 0 where there are none."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else 0.0


# -- CPU time ----------------------------------------------------------------------------------------------

def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its living descendants."""
    return sum(_ticks(one) for one in process_tree(pid)) / TICKS


def process_tree(pid: int) -> list[int]:
    parents = {int(entry): _stat(int(entry))[1] for entry in os.listdir('/proc') if entry.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == str(one)]
    return found


def _ticks(pid):
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12])


def _stat(pid):
    """The fields after the name: state, parent, ... utime and stime are the 12th and 13th."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return ['X', '0'] + ['0'] * 50


def rss_bytes(pid: int) -> int:
    """Memory of one process that is its own: anonymous pages in RAM."""
    return _memory(pid, 'RssAnon')


def peak_bytes(pid: int) -> int:
    """The most that one process ever had in RAM, with what it shares."""
    return _memory(pid, 'VmHWM')


def _memory(pid, key):
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(f'{key}:'):
            return int(line.split()[1]) * 1024
    return 0
