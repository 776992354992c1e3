"""A lab on which a hit is compared with Swift's answer: one proxy whose cache is warm, one without the filter."""
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from helpers.filter.equivalence import differences, facts_of
from helpers.lab import clients
from helpers.lab.labs import finding_tests
from hypothesis import HealthCheck

from swiftahead.lab import Lab

# an example takes as long as its requests
SLOW = {'suppress_health_check': list(HealthCheck)}
BODY = bytes(range(256)) * 1200
ETAG_QUOTER = '\n[filter:etag_quoter]\nuse = egg:swift#etag_quoter\n'
ASKING = '\n[filter:asking]\npaste.filter_factory = helpers.lab.asking:filter_factory\n'
# what an operator can have the object servers store besides what they do by default, each with a value of its kind
STORED = {
    'Vary': 'Accept-Encoding', 'Link': '</a>; rel=next', 'Location': 'http://a.example/', 'Pragma': 'no-cache',
    'Via': '1.1 a',
    'Warning': '110 - "stale"', 'Server': 'mine', 'Set-Cookie': 'a=b', 'Retry-After': '5', 'Content-Md5': 'x',
    'Content-Location': '/a', 'Content-Range': 'bytes 0-1/2', 'WWW-Authenticate': 'Basic', 'Alt-Svc': 'clear',
    'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'etag', 'Access-Control-Max-Age': '9',
    'Content-Security-Policy': "default-src 'self'", 'X-Frame-Options': 'DENY', 'Surrogate-Control': 'max-age=1',
    'Strict-Transport-Security': 'max-age=1', 'Keep-Alive': 'timeout=5', 'TE': 'gzip', 'Trailer': 'Etag',
    'Upgrade': 'h2c', 'Proxy-Authenticate': 'Basic', 'Proxy-Authorization': 'Basic eDp5', 'X-Own': 'mine'}
BY_DEFAULT = ('content-disposition, content-encoding, x-delete-at, x-object-manifest, x-static-large-object, '
              'cache-control, content-language, expires, x-robots-tag')
# name -> body, headers; in a container of the default policy, from where each can be a hit
PLAIN = {
    'plain': (BODY[:150_000], {'Content-Type': 'text/plain; charset=utf-8'}),
    'empty': (b'', {}),
    'block': (BODY[:65536], {'Content-Type': 'text/html; charset="utf-8"'}),
    'small': (BODY[:1000], {'Content-Encoding': 'gzip', 'Content-Disposition': 'attachment; filename="x;y"',
                            'Cache-Control': 'public, max-age=60', 'X-Delete-At': '4000000000',
                            'Content-Language': 'de', 'Expires': 'Thu, 01 Jan 2037 00:00:00 GMT',
                            'X-Robots-Tag': 'noindex', 'Content-Type': ''}),
    'odd': (BODY[:100], {'X-Object-Meta-Farbe': 'grün\t"=;,\\'.encode().decode('latin-1'),
                         'X-Object-Meta-L': '\xff\x80', 'X-Object-Meta-Empty': ' ', 'X-Object-Meta-A_B': "'<&",
                         'Content-Type': 'a'}),
    'großer Name/?#;%': (BODY[:70000], {}),
    'large': (BODY * 10, {'Content-Type': 'application/octet-stream'}),
}


@contextmanager
def compared(folder) -> Iterator[Lab]:
    """Two proxies, the second without the filter; an EC policy; quoted ETags where a container wants them; object
    servers that store what is in `STORED`."""
    with finding_tests(), Lab(folder, nodes=1, replicas=1, policies=('gold', 'ec'), proxies=2) as lab:
        for number, cache in ((1, 'prefetch '), (2, '')):
            change_pipeline(lab, f'proxy{number}', cache)
        store_more(lab)
        yield lab


def store_more(lab):
    conf, use = lab.conf_path('object1'), 'use = egg:swift#object\n'
    text = conf.read_text()
    assert use in text
    conf.write_text(text.replace(use, f'{use}allowed_headers = {BY_DEFAULT}, {", ".join([*STORED, "Age"])}\n'))
    lab.restart('object1')


def change_pipeline(lab, name, cache):
    conf = lab.conf_path(name)
    text = conf.read_text().replace(' cache ', ' cache etag_quoter ', 1).replace(
        ' prefetch proxy-server', f' asking {cache}proxy-server')
    conf.write_text(text + ETAG_QUOTER + ASKING)
    lab.restart(name)


def warm(lab) -> dict[str, str]:
    """Label -> path of each that can be a hit, warm."""
    paths = {}
    for container, policy, names in (('gold', 'gold', list(PLAIN)), ('ec', 'ec', ['plain', 'empty', 'large']),
                                     ('quoted', 'gold', ['plain'])):
        path = make_container(lab, container, **{'X-Storage-Policy': policy})
        paths.update({f'{container}-{name}': put(lab, path, name, *PLAIN[name]) for name in names})
    for path in paths.values():
        clients.until_hit(lab, path)
    return paths


def make_container(lab, name, **headers):
    path = f'{clients.account(lab)}/{name}'
    more = {'X-Container-Rfc-Compliant-Etags': 'true'} if name == 'quoted' else {}
    headers = {'X-Container-Meta-Access-Control-Allow-Origin': 'https://one.example',
               'X-Container-Meta-Access-Control-Expose-Headers': 'x-object-meta-other', **more, **headers}
    assert clients.request(lab, 'PUT', path, headers).status in (201, 202)
    return path


def put(lab, container, name, body, headers=None, query=''):
    path = f'{container}/{quote(name)}'
    sent = {'X-Object-Meta-Other': 'other-etag', **(headers or {})}
    sent = {key: value.encode('latin-1') for key, value in sent.items()}
    assert clients.request(lab, 'PUT', path + query, headers=sent, body=body).status == 201
    return path


def is_passed_on(ask, status, path):
    """What is no hit on purpose: what asks past caches or for a CORS answer, what proxy-server words by a
    quorum or, with an EC policy, of fragments, and what middleware on the left refuses."""
    headers = ask.headers
    if '/ec/' in path and (status in (304, 416) or ('Range' in headers and (
            path.endswith('/empty') or 'X-Test-Backend-Ignore-Range-If-Metadata-Present' in headers))):
        return True
    return (status in (400, 401, 403, 404, 412) or 'Origin' in headers or headers.get('X-Newest') == 'true'
            or headers.get('X-Open-Expired') == 'true'
            or headers.get('Cache-Control') in ('no-cache', 'max-age=0, no-store'))


def compare(swift, cached, path, asks, hits=True):
    """What differs, and what ought to have been a hit and was none."""
    facts = facts_of(swift.get(path))
    wrong = []
    for ask in asks:
        expected, found = swift.ask(path, ask, facts), cached.ask(path, ask, facts)
        if differences(expected, found):
            wrong.append((ask, differences(expected, found)))
        elif hits and not found.is_hit and not is_passed_on(ask, expected.status, path):
            wrong.append((ask, expected.status, found.header('cache-status')))
    return wrong


def assert_none(wrong):
    assert not wrong, '\n'.join(map(repr, [len(wrong), *wrong[:40]]))
