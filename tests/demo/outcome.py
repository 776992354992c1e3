"""What a pass was like, the table of all passes, and whether the demonstration held."""
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from statistics import fmean

from .replay import TimedRead

LEAST_PREFETCHED = 0.30


@dataclass(frozen=True)
class PassFigures:
    """One pass through one system; times in milliseconds."""
    system: str
    number: int
    reads: int
    hits: int
    prefetched: int
    wrong: int
    mean: float
    p95: float

    @property
    def prefetched_share(self) -> float:
        return self.prefetched / self.reads


def outcome(system: str, number: int, readings: Sequence[TimedRead]) -> PassFigures:
    times = sorted(reading.seconds * 1000 for reading in readings)
    return PassFigures(system, number, len(readings),
                   hits=sum(reading.hit for reading in readings),
                   prefetched=sum(reading.prefetched for reading in readings),
                   wrong=sum(not reading.right for reading in readings),
                   mean=fmean(times), p95=times[ceil(len(times) * 0.95) - 1])


def table(outcomes: Sequence[PassFigures]) -> str:
    width = max(len(one.system) for one in outcomes)
    lines = [f'{"system":<{width}}  pass  reads   hits        prefetched hits   mean ms   p95 ms']
    system = ''
    for one in outcomes:
        if system and one.system != system:
            lines.append('')
        shown, system = ('' if one.system == system else one.system), one.system
        lines.append(f'{shown:<{width}}  {one.number:>4}  {one.reads:>5}  '
                     f'{one.hits:>5} {share(one.hits, one)}  '
                     f'{one.prefetched:>9} {share(one.prefetched, one)}  {one.mean:>8.1f} {one.p95:>8.1f}')
    return '\n'.join(lines)


def share(count: int, one: PassFigures) -> str:
    return f'{count / one.reads:>5.0%}'


def shortfalls(outcomes: Sequence[PassFigures], unlearned: str, learned: str) -> list[str]:
    """In what the gain is below the one that is promised of the recorded reads; of others none is promised."""
    second = {one.system: one for one in outcomes if one.number == 2}
    with_all, without = second[learned], second[unlearned]
    found = []
    if with_all.prefetched_share < LEAST_PREFETCHED:
        found.append(f'pass 2 has {with_all.prefetched_share:.0%} prefetched hits, '
                     f'not at least {LEAST_PREFETCHED:.0%}')
    if with_all.mean >= without.mean:
        found.append(f'pass 2 takes {with_all.mean:.1f} ms on average, '
                     f'no less than the {without.mean:.1f} ms with learning off')
    return found


def wrongs(outcomes: Sequence[PassFigures]) -> list[str]:
    """What no cache may do, whatever is read."""
    wrong = sum(one.wrong for one in outcomes)
    return [f'{wrong} answers were not what had been uploaded'] if wrong else []


def as_json(outcomes: Sequence[PassFigures], failures: Sequence[str]) -> dict:
    return {'passes': [asdict(one) for one in outcomes], 'failures': list(failures)}
