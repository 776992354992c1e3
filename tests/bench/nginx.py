"""nginx with proxy_cache in front of a proxy of the lab: what an operator would else put there."""
import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench import common, sides
from swiftahead.lab.prerequisites import HOST, Reservation, is_open

AUTHORISED, OPEN = 'nginx+auth', 'nginx'
CONF = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=objects:10m max_size=4g inactive=1d use_temp_path=off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_cache_key $uri;
    proxy_cache_valid 200 1d;
    proxy_read_timeout 60s;
    add_header X-Cache $upstream_cache_status;
    upstream swift {{
        server {swift};
        keepalive 64;
        keepalive_requests 1000000;
    }}
    server {{
        listen {authorised};
        location / {{
            auth_request /may-read;
            proxy_cache objects;
            proxy_pass http://swift;
        }}
        location = /may-read {{
            internal;
            proxy_method HEAD;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://swift$request_uri;
        }}
    }}
    server {{
        listen {open};
        location / {{
            proxy_cache objects;
            proxy_pass http://swift;
        }}
    }}
}}
"""


@contextmanager
def running(folder: Path, swift_url: str) -> Iterator[list[sides.Side]]:
    """nginx with both servers; ended when the block is left.

    The first asks Swift with a HEAD of the object before each answer: the token, the ACL and that the object
    is there. Neither knows whether what it holds is still the object. The second asks nobody anything.
    """
    folder.mkdir()
    with Reservation() as reservation:
        addresses = {name: f'{HOST}:{reservation.take()}' for name in (AUTHORISED, OPEN)}
    user = getpass.getuser()
    conf = folder / 'nginx.conf'
    conf.write_text(CONF.format(folder=folder, swift=urlsplit(swift_url).netloc, authorised=addresses[AUTHORISED],
                                open=addresses[OPEN], user=f'user {user};' if user == 'root' else ''))
    program = subprocess.Popen([common.find_program('nginx') or 'nginx', '-c', conf, '-e', folder / 'error.log'],
                               stdin=subprocess.DEVNULL)
    try:
        sides.until(lambda: _listens(program, addresses, folder), 'nginx listens')
        yield [sides.Side(name, f'http://{address}', program.pid) for name, address in addresses.items()]
    finally:
        # its master ends the workers
        program.terminate()
        program.wait(sides.PATIENCE)


def _listens(program, addresses, folder) -> bool:
    if program.poll() is not None:
        raise common.BenchError(f'nginx ended: {(folder / "error.log").read_text()[-2000:]}')
    return all(is_open(int(address.rpartition(':')[2])) for address in addresses.values())
