"""The three systems that are compared, and the objects they hold."""
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from swiftclient import client as swiftclient

from swiftahead.lab import Lab

from .replay import Login, digest_of

CONTAINER = 'demo'
LATENCY_MS = 20
UPLOADERS = 8
PIECE = 2**20

Body = Callable[[], bytes]


@dataclass(frozen=True)
class System:
    name: str
    filter: bool
    learn: bool


PLAIN = System('Swift alone', filter=False, learn=False)
UNLEARNED = System('filter and cache, learning off', filter=True, learn=False)
LEARNED = System('filter, cache and learning', filter=True, learn=True)
SYSTEMS = (PLAIN, UNLEARNED, LEARNED)


def library_bodies(root: Path, names) -> dict[str, Body]:
    return {name: (root / name).read_bytes for name in names}


def made_up_bodies(sizes: Mapping[str, int]) -> dict[str, Body]:
    """The same bytes for the same name each time."""
    return {name: partial(made_up, name, size) for name, size in sizes.items()}


def made_up(name: str, size: int) -> bytes:
    # piece by piece: `randbytes` takes less than 2**28 at a time
    rng = Random(name)
    return b''.join(rng.randbytes(min(PIECE, size - begin)) for begin in range(0, size, PIECE))


@contextmanager
def running(system: System, folder: Path, cache_size: int) -> Iterator[Lab]:
    """A lab of this system; down when the block is left, however it is left."""
    sidecar_conf = {'sidecar': {'cache_size': str(cache_size)},
                    'prefetcher': {'learner': 'sequence' if system.learn else 'off'}}
    with Lab(folder, latency_ms=LATENCY_MS, filter=system.filter, sidecar=system.filter,
             sidecar_conf=sidecar_conf) as lab:
        yield lab


def log_in(auth_url: str) -> Login:
    storage_url, token = swiftclient.get_auth(auth_url, 'test:tester', 'testing')
    return Login(storage_url, token, CONTAINER)


def upload(account: Login, bodies: Mapping[str, Body], progress: Callable[[int], None]) -> dict[str, str]:
    """PUT all objects into a new container.

    :returns: the MD5 of each
    """
    swiftclient.put_container(account.storage_url, account.token, account.container)
    digests = {}
    with ThreadPoolExecutor(UPLOADERS) as pool:
        waiting = [pool.submit(put, account, name, body) for name, body in bodies.items()]
        try:
            for future in as_completed(waiting):
                name, digest = future.result()
                digests[name] = digest
                progress(len(digests))
        except BaseException:
            # a signal or a failed PUT: what has not begun is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return digests


def put(account: Login, name: str, body: Body) -> tuple[str, str]:
    content = body()
    digest = digest_of(content)
    etag = swiftclient.put_object(account.storage_url, account.token, account.container, name,
                                  contents=content, content_length=len(content), etag=digest)
    if etag != digest:
        raise OSError(f'PUT {name} answered the ETag {etag}, not {digest}')
    return name, digest
