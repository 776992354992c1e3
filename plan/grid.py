"""The cells of a plan's table: a trace replayed with one cache size, one eviction, with or without prefetching."""
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..eviction.admission import ADMISSIONS
from ..eviction.policies import POLICIES
from ..predict import SequenceLearner
from ..predict.prediction import Predictor
from .accesslog import LogRead
from .listing import Key
from .replay import ANY, Counts, Replay, ReplaySettings
from .room import HIGH, LOW, disk_bytes, high_bytes
from .sample import EXACT, Off, PartLearner, TracePart, estimate, parts_of
from .traces import Trace
from .upper_bound import UpperBound, upper_bound

# requests between two calls of `tell`
STEP = 20_000
# of a GET on disks and a network that are not busy
BACKEND_SECONDS = 0.02
BACKEND_BYTES_PER_SECOND = 100e6


@dataclass(frozen=True)
class Cell:
    """The results of one setting.

    :param cache_bytes: its `cache_size`
    :param number: of the pass, from 1
    :param bound: ratios that no setting without prefetching can pass
    :param off: error of the results, where they come from a sample
    :param admit: which misses are kept
    :param neighbours: whether objects that nobody had read were fetched ahead
    """
    trace: str
    cache_bytes: int
    eviction: str
    prefetch: bool
    number: int
    counts: Counts
    bound: UpperBound
    off: Off = EXACT
    admit: str = 'all'
    neighbours: bool = False

    @property
    def object_hit_ratio(self) -> float:
        return self.counts.hits / self.counts.requests

    @property
    def byte_hit_ratio(self) -> float:
        return self.counts.hit_bytes / self.counts.bytes if self.counts.bytes else 0.0

    @property
    def precision(self) -> float | None:
        """Prefetched and used / prefetched; None where nothing was."""
        return self.counts.used / self.counts.prefetched if self.counts.prefetched else None

    @property
    def wasted_bytes_ratio(self) -> float:
        """Bytes prefetched in vain / bytes prefetched."""
        return self.counts.wasted_bytes / self.counts.prefetched_bytes if self.counts.prefetched_bytes else 0.0

    @property
    def gets_ratio(self) -> float:
        """GETs that the backend has to answer, for each read; above 1 where more is prefetched than hit."""
        return self.counts.backend_gets / self.counts.requests

    @property
    def late_hit_ratio(self) -> float:
        """Hits / reads, of the second half of the reads."""
        late = self.counts.requests - self.counts.requests // 2
        # estimates of the two may not fit each other
        return min(1.0, max(0, self.counts.hits - self.counts.early_hits) / late)

    def row(self) -> dict:
        return {'trace': self.trace, 'cache_bytes': self.cache_bytes, 'eviction': self.eviction,
                'prefetch': self.prefetch, 'pass': self.number, 'requests': self.counts.requests,
                'object_hit_ratio': self.object_hit_ratio, 'byte_hit_ratio': self.byte_hit_ratio,
                'precision': self.precision, 'wasted_bytes_ratio': self.wasted_bytes_ratio,
                'late': self.counts.late, 'backend_gets': self.counts.backend_gets}


@dataclass(frozen=True)
class GridSpec:
    """The settings to be tried.

    :param cache_bytes: sizes, as in the conf file
    :param most: upper bound on the reads that are learned from
    :param listing: names that exist, read or not; None: nothing is known of them
    :param max_object_size: bytes of an object that is kept, at most
    :param fetch_whole: bytes of an object that is fetched whole when a part of it was read
    :param admit: which misses are kept
    """
    cache_bytes: Sequence[int]
    evictions: Sequence[str]
    passes: int
    most: int
    listing: dict[Key, int] | None
    max_object_size: int = ANY
    fetch_whole: int = ANY
    admit: str = 'all'


def cells(trace: Trace, spec: GridSpec, tell: Callable[[str], object]) -> Iterator[Cell]:
    parts = _parts(trace, spec)
    for number, size in enumerate(spec.cache_bytes, start=1):
        place = f'{trace.name}: cache {number} of {len(spec.cache_bytes)}: '
        tell(f'{place}the bound')
        # from the second pass on all bounds are the same
        bounds = [upper_bound(trace.reads, high_bytes(size), again, spec.max_object_size, disk_bytes)
                  for again in (False, True)[:spec.passes]]
        for eviction in spec.evictions:
            run = Run(trace.reads, spec, size, eviction, partial(_tell, tell, f'{place}{eviction}'))
            plain = run(None, '')
            learned = run.learned(plain, parts)
            for prefetch, passes in ((False, [(counts, EXACT) for counts in plain]), (True, learned)):
                for index, (counts, off) in enumerate(passes):
                    yield Cell(trace.name, size, eviction, prefetch, index + 1, counts, bounds[min(index, 1)], off,
                               spec.admit, prefetch and spec.listing is not None)


def otherwise(trace: Trace, spec: GridSpec, cell: Cell, tell: Callable[[str], object], **changes) -> Cell:
    """Replay a cell with other values of its fields `eviction`, `prefetch`, `admit`, `cache_bytes` or
    `neighbours`; give the last pass."""
    cell = replace(cell, **changes)
    spec = replace(spec, admit=cell.admit, listing=spec.listing if cell.neighbours else None)
    run = Run(trace.reads, spec, cell.cache_bytes, cell.eviction,
              partial(_tell, tell, f'{trace.name}: {cell.eviction}, once more'))
    plain = run(None, '')
    if not cell.prefetch:
        return replace(cell, counts=plain[-1], off=EXACT)
    counts, off = run.learned(plain, _parts(trace, spec))[-1]
    return replace(cell, counts=counts, off=off)


def _parts(trace, spec):
    """Choose parts of the reads to learn from; none where all are learned from."""
    return parts_of(trace.reads, spec.most) if len(trace.reads) > spec.most else []


def learned_from(trace: Trace, spec: GridSpec) -> int:
    """Count the reads that are learned from."""
    parts = _parts(trace, spec)
    return sum(parts[0].flags) if parts else len(trace.reads)


def _tell(tell, *words):
    tell(''.join(words))


class Run:
    """Replay a trace, in as many passes as are asked for."""

    def __init__(self, reads, spec: GridSpec, size: int, eviction: str, tell: Callable[..., object]):
        self._reads = reads
        self._question = spec
        self._size = size
        self._policy = POLICIES[eviction]
        self._admission = ADMISSIONS[spec.admit] if spec.admit != 'all' else None
        self._tell = tell

    def __call__(self, learner: Callable[..., Predictor] | None, what: str = ', prefetching') -> list[Counts]:
        """Replay all passes; give the counts of each."""
        spec = self._question
        settings = ReplaySettings(self._size, self._policy, learner, fetch_seconds, admission=self._admission,
                            max_object_size=spec.max_object_size, fetch_whole=spec.fetch_whole,
                            disk_bytes=disk_bytes, high=HIGH, low=LOW)
        replay = Replay(settings, spec.listing if learner else None)
        return [replay.run(self._watched(replay, number, what)) for number in range(spec.passes)]

    def learned(self, plain: list[Counts], parts: list[TracePart]) -> list[tuple[Counts, Off]]:
        """Give counts and error of each pass with prefetching, from parts of the reads where there are any."""
        if not parts:
            return [(counts, EXACT) for counts in self(SequenceLearner)]
        found = [self(partial(_learner_of, part)) for part in parts]
        return [estimate(counts, of_parts, parts) for counts, *of_parts in zip(plain, *found, strict=True)]

    def _watched(self, replay, number, what):
        """Yield the requests of a pass. Tell how far it is, and note how many of the first half were hits."""
        count = len(self._reads)
        for index, request in enumerate(requests(self._reads, number)):
            if index % STEP == 0:
                self._tell(f'{what}, {100 * index // count} %')
            if index == count // 2:
                replay.counts.early_hits = replay.counts.hits
            yield request


def _learner_of(part, **more):
    return PartLearner(SequenceLearner(**more), part)


def requests(reads: Sequence[LogRead], number: int) -> Iterator[LogRead]:
    """Yield the requests of one pass, from 0: it begins one usual pause after the one before has ended."""
    begin, length = reads[0].at, reads[-1].at - reads[0].at
    offset = number * (length + length / max(1, len(reads) - 1)) - begin
    for read in reads:
        yield LogRead(read.at + offset, *read[1:])


def fetch_seconds(size: int) -> float:
    """Estimate the seconds that the backend takes for an object of that many bytes."""
    return BACKEND_SECONDS + size / BACKEND_BYTES_PER_SECOND
