"""One row of a container's database: find out what the other cluster lacks, and send it.

Each request carries the time of the object or of its tombstone. So the newer of two writes wins in both clusters,
whoever sends first, and what is sent twice changes nothing.
"""
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

from swift.common.middleware.versioned_writes.object_versioning import SYSMETA_VERSIONS_SYMLINK
from swift.common.swob import normalize_etag
from swift.common.utils import Timestamp, clean_content_type, decode_timestamps

from .remote import Found, Remote, RemoteFailed
from .source import SourceFailed, SourceObjects, SyncedContainer
from .wire import lower

# of the response that brings the object, and not of the object
OF_THE_RESPONSE = frozenset(('date', 'last-modified', 'accept-ranges', 'x-trans-id', 'x-openstack-request-id'))
# of the source cluster alone: the other one's gatekeeper would drop them
OF_THE_CLUSTER = ('x-backend-', 'x-object-sysmeta-', 'x-object-transient-sysmeta-')
# of a body, which a POST cannot change
OF_THE_BODY = frozenset(('content-length', 'etag'))
# objects that are more than their body
MARKS = ('x-symlink-target', 'x-static-large-object', 'x-object-manifest')


class Sent(Enum):
    """What a row came to."""
    PUT = 'put'
    POST = 'post'
    DELETE = 'delete'
    # the other cluster has it, or something newer
    IN_STEP = 'in_step'
    # a link of object versioning, left by an earlier state of the container
    SKIPPED = 'skipped'


class Sender:
    """Sends rows.

    :param paced: gives the chunks of a body on, at the pace that is allowed
    :param tell: is told of what a dry run would send: method, container, name. Nothing is sent then
    """

    def __init__(self, source: SourceObjects, remote: Remote,
                 paced: Callable[[Iterable[bytes]], Iterator[bytes]] = iter,
                 tell: Callable[[str, SyncedContainer, str], None] | None = None):
        self._source = source
        self._remote = remote
        self._paced = paced
        self._tell = tell

    def send(self, container: SyncedContainer, row: dict) -> tuple[Sent, int]:
        """Bring the other cluster up to a row.

        :returns: what was done, and the bytes of the body that was sent
        :raises RemoteFailed, SourceFailed: where it could not be done
        """
        name = row['name']
        data, _, meta = decode_timestamps(row['created_at'])
        if row['deleted']:
            self._delete(container, name, data)
            return Sent.DELETE, 0
        # where there is no realm, Swift refuses a HEAD, and a PUT of something older changes nothing; one copy
        # that is as new is enough: to ask all of them, and as many servers again, would make the second look slow
        found = (self._remote.head(container.destination, name, meta, newest=False)
                 if container.destination.realm else None)
        if found and self._is_in_step(container, row, meta, found):
            return Sent.IN_STEP, 0
        if found and self._post(container, row, meta, found):
            return Sent.POST, 0
        return self._put(container, name, meta)

    def _delete(self, container, name, at):
        if self._tell:
            self._tell('DELETE', container, name)
        else:
            self._remote.delete(container.destination, name, at)

    def _is_in_step(self, container, row, meta, found) -> bool:
        """Tell whether the other cluster has the row's object, or a newer one."""
        if found.timestamp != meta or _may_be_body(row, found):
            return found.timestamp >= meta
        # a POST met another body, which has this time now, and the look after it was broken off; or it came later
        return _same_body(self._source.head(container, row['name'], meta), found)

    def _post(self, container, row, meta, found) -> bool:
        """Send the metadata alone, where the other cluster has the same body; False where it has not."""
        name = row['name']
        # the listing's, which tells without a request that most bodies differ
        if row['size'] != found.length or _is_marked(found.headers):
            return False
        headers = self._source.head(container, name, meta)
        if _is_marked(headers) or headers.get(SYSMETA_VERSIONS_SYMLINK) or not _same_body(headers, found):
            return False
        # its newest copy may have another body
        newest = self._remote.head(container.destination, name, meta)
        if newest is None or not _same_body(headers, newest):
            return False
        if self._tell:
            self._tell('POST', container, name)
            return True
        try:
            self._remote.post(container.destination, name, {
                key: value for key, value in _of_the_object(headers).items() if key not in OF_THE_BODY})
        except RemoteFailed as error:
            # it is gone meanwhile, or newer: a PUT settles which wins
            if error.status in (404, 409):
                return False
            raise
        # another body may have come meanwhile, and would carry this time for ever
        after = self._remote.head(container.destination, name, Timestamp(headers['x-timestamp']))
        return after is not None and _same_body(headers, after)

    def _put(self, container, name, meta):
        headers, body, close = self._source.get(container, name, meta)
        try:
            if headers.get(SYSMETA_VERSIONS_SYMLINK):
                return Sent.SKIPPED, 0
            length = _length(headers)
            if self._tell:
                self._tell('PUT', container, name)
            else:
                self._remote.put(container.destination, name, _of_the_object(headers), self._paced(body), length)
            return Sent.PUT, length
        finally:
            close()


def _of_the_object(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the headers, of those of a response, that the other cluster is to have; the time is among them."""
    found = {lower(key): value for key, value in headers.items()}
    kept = {key: value for key, value in found.items()
            if key not in OF_THE_RESPONSE and not key.startswith(OF_THE_CLUSTER)}
    if 'etag' in kept:
        kept['etag'] = normalize_etag(kept['etag'])
    if 'content-type' in kept:
        kept['content-type'] = clean_content_type(kept['content-type'])
    return kept


def _length(headers):
    try:
        return int(headers['content-length'])
    except (KeyError, ValueError):
        raise SourceFailed('its source tells no length', "see the log of the syncer's internal client") from None


def _is_marked(headers: Mapping[str, str]) -> bool:
    return any(headers.get(mark) for mark in MARKS)


def _may_be_body(row, found: Found) -> bool:
    """Tell whether the other cluster's body may be the row's, by what the listing has of it."""
    etag = row['etag'].partition(';')[0]
    # that of an encrypted object tells nothing
    return row['size'] == found.length and (len(etag) != len(found.etag) or etag == found.etag)


def _same_body(headers: Mapping[str, str], found: Found) -> bool:
    return (normalize_etag(headers.get('etag', '')), headers.get('content-length')) == (
        normalize_etag(found.etag), str(found.length))
