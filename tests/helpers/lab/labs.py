"""Talking to a lab in tests."""
import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from swiftclient import client as swiftclient

from swiftahead.lab import Lab

USER, KEY = 'test:tester', 'testing'


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


TESTS = Path(__file__).resolve().parents[2]


@contextmanager
def finding_tests() -> Iterator[None]:
    """Programs that are started meanwhile, a lab's proxies too, can import filters of ours from this folder."""
    before = os.environ.get('PYTHONPATH')
    here = str(TESTS)
    os.environ['PYTHONPATH'] = os.pathsep.join([here, *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ['PYTHONPATH']
        else:
            os.environ['PYTHONPATH'] = before


def connection(lab: Lab, user: str = USER, key: str = KEY, proxy: int = 0) -> swiftclient.Connection:
    """A client that takes the first answer as it is."""
    return swiftclient.Connection(lab.auth_url(proxy), user, key, retries=0)


def token(lab: Lab, user: str = USER, key: str = KEY, proxy: int = 0) -> str:
    return swiftclient.get_auth(lab.auth_url(proxy), user, key)[1]


def request(lab: Lab, method: str, path: str, headers=None, body=None, proxy: int = 0,
            token: str | None = None) -> Answer:
    """One request on a connection of its own, nothing added, followed or decoded.

    :param path: quoted, from the root: ``/v1/AUTH_test/c/o?query``
    """
    client = http.client.HTTPConnection(urlsplit(lab.urls[proxy]).netloc, timeout=60)
    sent = {**(headers or {}), **({'X-Auth-Token': token} if token else {})}
    try:
        client.request(method, path, body=body, headers=sent)
        response = client.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        client.close()
