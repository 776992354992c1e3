"""Names of cached objects on disk, and the layout of the cache folder.

Names are keyed hashes: a folder listing tells nobody which objects are read, and nobody can
choose an object name that collides with another's. The key lies in the cache folder.
"""
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

FORMAT = 'v1'
KEY_BYTES = 32
CONTAINER_DIGITS = 16
# names of each kind that a process remembers
REMEMBERED = 256
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
        """16 hex digits that all entries of one container begin with."""
        # account names hold no slash, so that the pair cannot be read in two ways
        return self._digest(b'container', to_bytes(f'{account}/{container}'), CONTAINER_DIGITS // 2)

    def _entry(self, name: ObjectName) -> str:
        """48 hex digits: the container's, then the object's."""
        container = self.container(name.account, name.container)
        return container + self._digest(container.encode(), to_bytes(name.object), 16)

    def _client(self, user: str, address: str) -> str:
        """An opaque name for a client: authenticated user (or '') and remote address."""
        return self._digest(b'client', to_bytes(f'{user}\n{address}'), 8)

    def _digest(self, person: bytes, data: bytes, size: int) -> str:
        return blake2b(data, key=self._key, person=person[:16], digest_size=size).hexdigest()


@dataclass(frozen=True)
class Layout:
    """Paths in a cache folder. The format version is in them, so that two generations of
    workers can use the folder at once."""
    cache_dir: Path

    @property
    def key(self) -> Path:
        return self.cache_dir / 'key'

    @property
    def report(self) -> Path:
        return self.cache_dir / 'sidecar.json'

    @cached_property
    def objects(self) -> Path:
        return self.cache_dir / FORMAT / 'objects'

    @cached_property
    def spool(self) -> Path:
        return self.cache_dir / FORMAT / 'spool'

    @cached_property
    def fetching(self) -> Path:
        return self.cache_dir / FORMAT / 'fetching'

    def entry(self, entry_name: str) -> Path:
        return Path(self.entry_path(entry_name))

    def entry_path(self, entry_name: str) -> str:
        """The same path as a text, which is ten times as quick: each hit needs one."""
        # the object's digits spread evenly, the container's do not
        return f'{self._objects}/{entry_name[CONTAINER_DIGITS:CONTAINER_DIGITS + 2]}/{entry_name}'

    @cached_property
    def _objects(self):
        return str(self.objects)
