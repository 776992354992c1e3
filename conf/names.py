"""Names of objects and of their entries on disk, and the words of a control request.

Entries are named by keyed hashes: a folder listing tells nobody which objects are read, and nobody can
choose an object name that collides with another's. The key lies in the cache folder.
"""
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote

KEY_BYTES = 32
CONTAINER_DIGITS = 16
# names of each kind that a process remembers
REMEMBERED = 256
# origins of fetches: the object was predicted, it is the next of a list, or a part of it was read
PREFETCH, SEGMENT, WHOLE = 'prefetch', 'segment', 'whole'
# number of folders of entries: one for each pair of digits of a name
FOLDERS = 256


def to_bytes(name: str) -> bytes:
    """Encode a native Swift name: UTF-8, and the bytes that Swift has as surrogate escapes."""
    return name.encode('utf-8', 'surrogateescape')


@dataclass(frozen=True)
class ObjectName:
    """Account, container and object as native strings, unquoted."""
    account: str
    container: str
    object: str

    @property
    def parts(self) -> tuple[str, str, str]:
        return self.account, self.container, self.object

    @property
    def path(self) -> str:
        return f'/{self.account}/{self.container}/{self.object}'

    @property
    def quoted(self) -> str:
        """The path for logs, quoted as in Swift's own: Swift's formatter lets all but line feeds through, and a
        name may hold characters that move a terminal's cursor."""
        return quote(self.path, errors='surrogateescape')


class Naming:
    """The names that one cache folder gives to objects, containers and clients."""

    def __init__(self, key: bytes):
        if len(key) != KEY_BYTES:
            raise ValueError(f'the key of a cache folder has {KEY_BYTES} bytes, not {len(key)}')
        self._key = key
        # a request asks for the same name several times, and many requests are for few containers
        self.container = lru_cache(REMEMBERED)(self._container)
        self.entry = lru_cache(REMEMBERED)(self._entry)
        self.client = lru_cache(REMEMBERED)(self._client)

    def _container(self, account: str, container: str) -> str:
        """Give the 16 hex digits with which the names of all entries of one container begin."""
        # account names hold no slash, so that the pair cannot be read in two ways
        return self._digest(b'container', to_bytes(f'{account}/{container}'), CONTAINER_DIGITS // 2)

    def _entry(self, name: ObjectName) -> str:
        """Give an entry's name, 48 hex digits: the container's, then the object's."""
        container = self.container(name.account, name.container)
        return container + self._digest(container.encode(), to_bytes(name.object), 16)

    def _client(self, user: str, address: str) -> str:
        """Give an opaque name for a client: authenticated user (or '') and remote address."""
        return self._digest(b'client', to_bytes(f'{user}\n{address}'), 8)

    def _digest(self, person: bytes, data: bytes, size: int) -> str:
        return blake2b(data, key=self._key, person=person[:16], digest_size=size).hexdigest()


# a control request, POST /v1/ACCOUNT/CONTAINER?prefetch=...
PARAMETER = 'prefetch'
# the other parameters of each action
TAKES = {'warm': ('prefix', 'limit'), 'forget': ('prefix', 'name')}
LARGEST_LIMIT = 10**9
# header of the filter's answers to a client that may write to the container; Swift itself sends none
NODE_HEADER = 'X-Prefetch-Node'
# sent with each request: Swift refuses a POST that deletes an object in the past, and a container ignores it
GUARD = {'X-Delete-At': '1'}
