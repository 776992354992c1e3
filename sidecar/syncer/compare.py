"""Compare the listings of both sides of a synced container, name by name, in the memory of two pages."""
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from swift.common.utils import clean_content_type

# fields of a listing's row that both sides have alike where they are in step
FIELDS = 'last_modified', 'hash', 'bytes', 'content_type'
# of a manifest the other side has no sysmeta, by which a listing tells the size and the ETag of a large object
OF_MANIFESTS = 'last_modified',


class ListingError(Exception):
    """A listing that is none: where, and how to mend it."""


@dataclass(frozen=True)
class Pair:
    """A name, and its rows in both listings.

    :param here: None: there is none; likewise `there`
    :param fields: those that differ
    """
    name: str
    here: dict | None
    there: dict | None
    is_manifest: bool = False
    fields: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Say what is wrong with the other side; '' where nothing is."""
        if self.there is None:
            return 'missing there'
        if self.here is None:
            return 'only there'
        return 'differs' if self.fields else ''


def rows(page: Callable[[str], list[dict]], side: str) -> Iterator[dict]:
    """Give the rows of a whole listing.

    :param page: gives the rows after a name, at least one where there are any
    :param side: the word for it in errors
    :raises ListingError: where names are not in their order, so that they cannot be compared, or would not end
    """
    last = ''
    while found := page(last):
        for row in found:
            name = row.get('name')
            if not isinstance(name, str) or name <= last:
                raise ListingError(f'the listing {side} has {name!a} after {last!a}, which is no order; see '
                                   'whether something in between changes listings')
            yield row
            last = name


def compare(here: Iterable[dict], there: Iterable[dict]) -> Iterator[Pair]:
    """Give each name of two listings once, in their order."""
    ours, theirs = iter(here), iter(there)
    one, other = next(ours, None), next(theirs, None)
    while one and other:
        if one['name'] < other['name']:
            yield Pair(one['name'], one, None)
            one = next(ours, None)
        elif other['name'] < one['name']:
            yield Pair(other['name'], None, other)
            other = next(theirs, None)
        else:
            yield _pair(one, other)
            one, other = next(ours, None), next(theirs, None)
    # the rest of the longer one
    yield from (Pair(row['name'], row, None) for row in chain([one] if one else [], ours))
    yield from (Pair(row['name'], None, row) for row in chain([other] if other else [], theirs))


def _pair(here, there):
    is_manifest = _is_manifest(here) or _is_manifest(there)
    fields = tuple(name for name in (OF_MANIFESTS if is_manifest else FIELDS)
                   if _value(here, name) != _value(there, name))
    return Pair(here['name'], here, there, is_manifest, fields)


def _is_manifest(row):
    # filters keep what they know of an object behind the hash, and a client without them lists it so
    return 'slo_etag' in row or ';' in str(row.get('hash'))


def _value(row, name):
    value = row.get(name)
    return clean_content_type(value) if name == 'content_type' and isinstance(value, str) else value
