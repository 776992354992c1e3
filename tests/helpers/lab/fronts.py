"""Caches of others that stand in front of a lab's proxy, as operators put them there: Varnish and nginx."""
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0
# Debian's packages put them there
PATH = '/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin'
VCL = '''vcl 4.0;
backend default { .host = "127.0.0.1"; .port = "%d"; }
sub vcl_deliver { set resp.http.X-Front = obj.hits > 0; }
'''
NGINX = '''daemon off; pid nginx.pid; error_log stderr; %s
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path body; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi; proxy_temp_path temp; proxy_cache_path cache keys_zone=one:1m;
  server {
    listen 127.0.0.1:%d;
    location / {
      proxy_pass http://127.0.0.1:%d; proxy_cache one; proxy_ignore_headers Vary;
      add_header X-Front $upstream_cache_status;
    }
  }
}
'''


class Front:
    """:param hit: what X-Front says of an answer of its own"""

    def __init__(self, port: int, hit: str):
        self._port = port
        self._hit = hit

    def get(self, path: str) -> tuple[bool, dict[str, str]]:
        """Whether the front answered it itself, and the headers."""
        client = http.client.HTTPConnection('127.0.0.1', self._port, timeout=60)
        try:
            client.request('GET', path)
            response = client.getresponse()
            response.read()
            assert response.status == 200, (response.status, response.getheaders())
            headers = {key.lower(): value for key, value in response.getheaders()}
            return headers['x-front'] == self._hit, headers
        finally:
            client.close()


def missing(program: str) -> bool:
    return shutil.which(program, path=PATH) is None


@contextmanager
def varnish(folder: Path, backend: int) -> Iterator[Front]:
    port = free_port()
    (folder / 'front.vcl').write_text(VCL % backend)
    with _running(port, 'varnishd', '-F', '-j', 'none', '-n', folder / 'v', '-a', f'127.0.0.1:{port}',
                  '-T', 'none', '-f', folder / 'front.vcl', '-s', 'malloc,8m'):
        yield Front(port, 'true')


@contextmanager
def nginx(folder: Path, backend: int) -> Iterator[Front]:
    port = free_port()
    user = 'user root;' if Path('/proc/self').stat().st_uid == 0 else ''
    (folder / 'front.conf').write_text(NGINX % (user, port, backend))
    with _running(port, 'nginx', '-p', folder, '-c', folder / 'front.conf', '-e', 'stderr'):
        yield Front(port, 'HIT')


@contextmanager
def _running(port, program, *args):
    path = shutil.which(program, path=PATH)
    assert path
    process = subprocess.Popen([path, *map(str, args)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _listens(port):
            assert process.poll() is None and time.monotonic() < deadline, f'{program} does not listen'
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


def _listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(('127.0.0.1', port)) == 0
