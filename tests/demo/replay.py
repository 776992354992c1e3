"""Replay a trace against a Swift account: each client a thread that awaits its answer before its next gap."""
import http.client
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import md5
from urllib.parse import quote, urlsplit

from .tracefile import Step

TIMEOUT = 60
# servers close idle connections; after a longer wait than this a client begins a new one
IDLE = 10


@dataclass(frozen=True)
class Login:
    """Where the objects are, and the token that may read them."""
    storage_url: str
    token: str
    container: str


@dataclass(frozen=True)
class TimedRead:
    """One answered GET; `seconds` until the last byte was there, `right` if each byte was the object's."""
    object: str
    seconds: float
    hit: bool
    prefetched: bool
    right: bool


class Client:
    """One keep-alive connection from a loopback address of its own, so that Swift sees who reads."""

    def __init__(self, account: Login, number: int):
        url = urlsplit(account.storage_url)
        self.path = f'{url.path}/{account.container}/'
        self.headers = {'X-Auth-Token': account.token}
        self.connection = http.client.HTTPConnection(
            url.netloc, timeout=TIMEOUT, source_address=(source_address(number), 0))

    def read(self, name: str, digest: str) -> TimedRead:
        begin = time.perf_counter()
        self.connection.request('GET', self.path + quote(name), headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - begin
        hit = is_hit(answer.getheader('Cache-Status', ''))
        prefetched = hit and answer.getheader('X-Object-Prefetched') == 'True'
        right = (answer.status == 200 and answer.getheader('Content-Length') == str(len(body))
                 and digest_of(body) == digest)
        return TimedRead(name, seconds, hit, prefetched, right)

    def close(self):
        self.connection.close()


def source_address(number: int) -> str:
    return f'127.0.{1 + number // 250}.{1 + number % 250}'


def is_hit(cache_status: str) -> bool:
    parts = [part.strip() for part in cache_status.split(';')]
    return parts[0] == 'swiftahead' and 'hit' in parts[1:]


def digest_of(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()


class Pass:
    """One run through the whole trace."""

    def __init__(self, account: Login, plan: dict[str, list[Step]], digests: dict[str, str],
                 progress: Callable[[int], None] = lambda done: None):
        self.account, self.plan, self.digests, self.progress = account, plan, digests, progress
        self.readings: list[TimedRead] = []
        self.errors: list[Exception] = []
        self.stop = threading.Event()

    def run(self) -> list[TimedRead]:
        """:raises OSError: or HTTPException, the first that a client met"""
        threads = [threading.Thread(target=self._client, args=(number, steps), daemon=True)
                   for number, steps in enumerate(self.plan.values())]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    # in short waits, so that a signal is heard at once
                    thread.join(0.2)
                    self.progress(len(self.readings))
        finally:
            self.stop.set()
        if self.errors:
            raise self.errors[0]
        return self.readings

    def _client(self, number: int, steps: Sequence[Step]):
        client = Client(self.account, number)
        try:
            for step in steps:
                if step.gap > IDLE:
                    client.close()
                if self.stop.wait(step.gap):
                    return
                self.readings.append(client.read(step.object, self.digests[step.object]))
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(error)
            self.stop.set()
        finally:
            client.close()
