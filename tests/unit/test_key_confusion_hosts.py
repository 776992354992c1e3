"""A4: an object that is asked for by a host's name is the one that is asked for by its path."""
import base64
import hmac
from email.utils import formatdate

import pytest
from helpers.common.builders import close_logs, container_info, infocache
from helpers.filter.filtered import Proxy, word
from swift.common.middleware.cname_lookup import CNAMELookupMiddleware
from swift.common.middleware.domain_remap import DomainRemapMiddleware
from swift.common.middleware.s3api.s3api import S3ApiMiddleware
from swift.common.middleware.tempauth import TempAuth
from swift.common.swob import Request

from swiftahead.cache import Store

# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
PATH = '/v1/AUTH_test/pictures/%C3%A9/o'
STORED = b'/v1/AUTH_test/pictures/\xc3\xa9/o'.decode('latin-1')
BODY = b'one object'


@pytest.fixture
def proxy(tmp_path):
    Store.create(tmp_path / 'cache')
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue.db')
    proxy.swift.put(STORED, BODY)
    yield proxy
    proxy.close()


@pytest.fixture
def logs():
    """For middleware that opens logs."""
    yield
    close_logs()


def allow(req):
    return None


def front(proxy):
    """The filter as everything to its left sees it."""
    def app(env, start_response):
        env.setdefault('swift.authorize', allow)
        env['swift.infocache'] = infocache(container_info(), 'AUTH_test', 'pictures')
        return proxy.app(env, start_response)
    return app


def ask(app, path, **headers):
    resp = Request.blank(path, headers=headers).get_response(app)
    assert resp.body == BODY, resp.body
    return word(resp)


def read_by_path(proxy):
    """Miss, admission, hit."""
    assert ask(front(proxy), PATH) == 'fwd=miss; stored'
    proxy.settle()
    for item in list(proxy.runtime.store().spool_files()):
        proxy.runtime.store().admit(item.entry_name)
    assert ask(front(proxy), PATH) == 'hit'


@pytest.mark.holds('A4')
@pytest.mark.parametrize('host, path', [
    ('pictures.AUTH-test.example.org', '/%C3%A9/o'), ('pictures.auth-test.example.org:8080', '/%c3%a9/o'),
    ('auth_test.example.org', '/pictures/%C3%A9/o'), ('example.org', PATH)])
def test_domain_remap(proxy, host, path):
    read_by_path(proxy)
    remapped = DomainRemapMiddleware(front(proxy), {'storage_domain': 'example.org'})
    assert ask(remapped, path, Host=host) == 'hit'


class Names(dict):
    """Swift's cache, as far as cname_lookup asks it before it asks DNS."""

    def set(self, key, value, **_):
        self[key] = value


@pytest.mark.holds('A4')
def test_cname_lookup(proxy, logs):
    read_by_path(proxy)
    conf = {'storage_domain': 'example.org'}
    app = CNAMELookupMiddleware(DomainRemapMiddleware(front(proxy), conf), conf)
    app.memcache = Names({'cname-files.example.com': 'pictures.auth_test.example.org'})
    assert ask(app, '/%C3%A9/o', Host='files.example.com') == 'hit'


def signed(bucket_and_key, **headers):
    date = formatdate(usegmt=True)
    digest = hmac.digest(b'testing', f'GET\n\n\n{date}\n{bucket_and_key}'.encode(), 'sha1')
    return {'Date': date, 'Authorization': f'AWS test:tester:{base64.b64encode(digest).decode()}', **headers}


@pytest.mark.holds('A4')
@pytest.mark.parametrize('host, path', [
    ('s3.example.org', '/pictures/%C3%A9/o'), ('pictures.s3.example.org', '/%C3%A9/o')])
def test_s3_by_path_and_by_virtual_host(proxy, logs, host, path):
    read_by_path(proxy)
    auth = TempAuth(front(proxy), {'user_test_tester': 'testing .admin'})
    app = S3ApiMiddleware(auth, {'storage_domain': 's3.example.org', 'log_name': 's3api'})
    proxy.swift.requests.clear()
    # s3api lets no Cache-Status through
    ask(app, path, **signed('/pictures/%C3%A9/o', Host=host))
    assert proxy.asked() == 0
