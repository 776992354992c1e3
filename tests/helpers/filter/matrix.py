"""Who asks, for what, in which way: the tables of A1, and how a proxy with the filter is compared with another."""
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import quote, urlencode

from helpers.lab import clients, labs

from swiftahead.lab import Lab

METHODS = ('GET', 'HEAD')
# what `Matrix.make` makes
KINDS = ('plain', 'slo', 'dlo', 'symlink', 'symlink elsewhere', 'static symlink', 'missing')
# of the moment, or what the filter adds
UNCOMPARED = {'date', 'x-trans-id', 'x-openstack-request-id', 'age', 'cache-status', 'x-object-prefetched',
              'x-amz-id-2', 'x-amz-request-id'}
# name -> X-Container-Read
ACLS = {'none': '', 'public': '.r:*', 'listings': '.r:*,.rlistings', 'user': 'test:tester3',
        'other': 'test2:tester2', 'referrer': '.r:.example.com,.r:-bad.example.com'}
# name -> (user, key, headers); user None: no token
READERS: dict[str, tuple[str | None, str, dict[str, str]]] = {
    'owner': ('test:tester', 'testing', {}),
    'admin of the account': ('test:tester2', 'testing2', {}),
    'same account': ('test:tester3', 'testing3', {}),
    'other account': ('test2:tester2', 'testing2', {}),
    'reseller admin': ('admin:admin', 'admin', {}),
    'service': ('test5:tester5', 'testing5', {}),
    'anonymous': (None, '', {}),
    'good referrer': (None, '', {'Referer': 'http://www.example.com/page'}),
    'bad referrer': (None, '', {'Referer': 'http://bad.example.com/page'}),
    'odd referrer': (None, '', {'Referer': 'example.com'}),
    'forged token': (None, '', {'X-Auth-Token': 'AUTH_tk' + '0' * 32}),
    'service token of another': ('test2:tester2', 'testing2', {'X-Service-Token': 'test5:tester5'}),
}


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), '')

    @property
    def is_hit(self) -> bool:
        return self.header('Cache-Status').startswith('swiftahead; hit')

    @property
    def seen(self):
        """What must not differ. Errors of Swift and of s3api name the transaction."""
        headers = sorted((key.lower(), value) for key, value in self.headers if key.lower() not in UNCOMPARED)
        body = re.sub(rb'tx[0-9a-f]{21}-[0-9a-f]{10}', b'tx', self.body) if self.status >= 400 else self.body
        return self.status, headers, body


@contextmanager
def half_filtered(folder, **options) -> Iterator[Lab]:
    """A small lab of which the second proxy has no filter.

    Its sidecar lists no container unasked, so that both proxies know of one what the requests of a test told them.
    """
    with Lab(folder, **{'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'proxies': 2,
                        'sidecar_conf': {'prefetcher': {'neighbours': 'off'}}, **options}) as lab:
        conf = lab.conf_path('proxy2')
        conf.write_text(conf.read_text().replace(' prefetch proxy-server', ' proxy-server'))
        lab.restart('proxy2')
        yield lab


class Matrix:
    """:param lab: the second of whose proxies has no filter"""

    def __init__(self, lab: Lab):
        self.lab = lab
        # segments, targets and the like, which readers do not ask for themselves
        self.parts: list[str] = []

    # asking

    def ask(self, method: str, path: str, reader: str, proxy: int) -> Answer:
        user, key, headers = READERS[reader]
        headers = dict(headers)
        if 'X-Service-Token' in headers:
            headers['X-Service-Token'] = clients.token(self.lab, headers['X-Service-Token'], 'testing5')
        token = clients.token(self.lab, user, key) if user else None
        return Answer(*labs.request(self.lab, method, path, headers, proxy=proxy, token=token))

    def difference(self, method: str, path: str, reader: str) -> list:
        """What a reader can tell the two proxies by; nothing where he cannot."""
        found, expected = self.ask(method, path, reader, 0), self.ask(method, path, reader, 1)
        return [] if found.seen == expected.seen else [
            (with_it, without) for with_it, without in zip(found.seen, expected.seen, strict=True)
            if with_it != without]

    def differences(self, paths: Collection[str], readers: Collection[str] = tuple(READERS)) -> list:
        """What anyone of them can tell the two proxies by."""
        return self.differences_in((method, path, reader) for reader in readers for path in paths
                                   for method in METHODS)

    def differences_in(self, asked: Iterable[tuple[str, str, str]]) -> list:
        """:param asked: method, path, reader"""
        return [(*one, found) for one in asked if (found := self.difference(*one))]

    def request(self, method: str, path: str, headers=None, body=None) -> clients.Answer:
        """As the owner, through the proxy with the filter."""
        return clients.request(self.lab, method, path, headers, body)

    def warm(self, path: str) -> None:
        """Have in the cache what lies there itself; of what it is made of there are `parts`."""
        query = path.partition('?')[2]
        raw = path if query else f'{path}?multipart-manifest=get&symlink=get'
        clients.until(lambda: self.ask('GET', raw, 'owner', 0).is_hit, f'{raw} is a hit')

    # making

    def put_account(self, tempurl_key: str) -> None:
        headers = {'X-Account-Meta-Temp-Url-Key': tempurl_key}
        assert self.request('POST', clients.account(self.lab), headers).status == 204

    def container(self, name: str, acl: str) -> str:
        path = f'{clients.account(self.lab)}/' + re.sub(r'\W', '-', name)
        assert self.request('PUT', path, {'X-Container-Read': acl} if acl else {}).status in (201, 202)
        return path

    def put(self, container: str, name: str, body: bytes, headers=None, query: str = '') -> str:
        path = f'{container}/{quote(name)}'
        assert self.request('PUT', path + query, headers, body).status == 201
        return path

    def make(self, acl: str, body: bytes) -> dict[str, str]:
        """Objects of each kind in a container with that ACL; what they consist of lies in a private one."""
        container, hidden = self.container(f'acl-{acl}', ACLS[acl]), self.container(f'hidden-{acl}', '')
        made = {'plain': self.put(container, 'plain', body)}
        segments = [self.put(hidden, f'segments/{number}', body[number:]) for number in range(2)]
        self.parts += segments
        manifest = [{'path': segment.split('/AUTH_test')[1]} for segment in segments]
        made['slo'] = self.put(container, 'slo', json.dumps(manifest).encode(), query='?multipart-manifest=put')
        own = hidden.rpartition('/')[2]
        made['dlo'] = self.put(container, 'dlo', b'', {'X-Object-Manifest': f'{own}/segments/'})
        name = container.rpartition('/')[2]
        made['symlink'] = self.put(container, 'symlink', b'', {'X-Symlink-Target': f'{name}/plain'})
        made['symlink elsewhere'] = self.put(container, 'elsewhere', b'',
                                             {'X-Symlink-Target': f'{own}/segments/0'})
        etag = hashlib.md5(body).hexdigest()
        made['static symlink'] = self.put(container, 'static', b'', {
            'X-Symlink-Target': f'{own}/segments/0', 'X-Symlink-Target-Etag': etag})
        made['missing'] = f'{container}/missing'
        return made


# signed URLs: queries that tempurl and s3api take

def signed(method: str, path: str, key: str, seconds: int = 600, signs: str = '', ip: str = '',
           filename: str = '', inline: bool = False) -> str:
    expires = int(time.time()) + seconds
    text = f'{method}\n{expires}\n{signs or path}'
    text = f'ip={ip}\n{text}' if ip else text
    query = {'temp_url_sig': hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest(),
             'temp_url_expires': str(expires)}
    if ip:
        query['temp_url_ip_range'] = ip
    if filename:
        query['filename'] = filename
    return urlencode(query) + ('&inline' if inline else '')


def prefixed(path: str, key: str) -> str:
    prefix = path.rpartition('/')[2][:2]
    folder = path.rpartition('/')[0]
    return signed('GET', path, key, signs=f'prefix:{folder}/{prefix}') + f'&temp_url_prefix={prefix}'


def expired(path: str, key: str) -> str:
    return signed('GET', path, key, seconds=-10)


def ip_limited(ip: str, path: str, key: str) -> str:
    return signed('GET', path, key, ip=ip)


def s3_v2(method: str, path: str, user: str, key: str, seconds: int = 60) -> str:
    """Query of an S3 URL that is signed beforehand, version 2."""
    expires = int(time.time()) + seconds
    digest = hmac.new(key.encode(), f'{method}\n\n\n{expires}\n{path}'.encode(), hashlib.sha1).digest()
    return urlencode({'AWSAccessKeyId': user, 'Expires': expires, 'Signature': base64.b64encode(digest).decode()})
