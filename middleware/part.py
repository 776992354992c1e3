"""What an answer holds of its object: all of it, or a part. Without I/O."""
import re
from dataclasses import dataclass

from swift.common.utils import config_true_value

from ..cache.headers import Headers, find, length_of, uncacheable_reason
from .decide import CONDITIONAL

CONTENT_RANGE = re.compile(r'bytes [0-9]{1,19}-([0-9]{1,19})/([0-9]{1,19})$')


@dataclass(frozen=True)
class Part:
    """
    :param length: of the whole object in bytes; 0 where the answer does not tell
    :param to_end: whether it reaches the object's end
    """
    length: int
    to_end: bool


def part_of(status_line: str, headers: Headers) -> Part:
    """A 304 holds nothing of it; of several ranges at once it is not told how long the object is."""
    if status_line.startswith('200'):
        return Part(length_of(headers), True)
    found = CONTENT_RANGE.match(find(headers, 'content-range') or '') if status_line.startswith('206') else None
    if found is None:
        return Part(0, False)
    last, length = int(found.group(1)), int(found.group(2))
    return Part(length, last + 1 == length)


def is_manifest(headers: Headers) -> bool:
    """Whether it is a static large object's."""
    return config_true_value(find(headers, 'x-static-large-object'))


def is_worth_fetching(part: Part, headers: Headers, env: dict, settings, now: float) -> bool:
    """Whether the sidecar is to fetch the whole of what was no hit: a miss without range or condition is
    captured instead.

    :param settings: the filter's
    """
    most = min(settings.fetch_whole, settings.max_object_size)
    return (settings.capture and 0 < part.length <= most and any(key in env for key in CONDITIONAL)
            and uncacheable_reason(headers, most, now, part.length) is None)
