"""The floor: what any correct cache at the filter's place must do, and nothing else.

Authorise as proxy-server does, open a file, answer it through swob. No checksum, no freshness, no
record of the read. Nothing that keeps what the project promises can be faster than this.

    [filter:floor]
    use = call:bench.floor:filter_factory
    folder = /where/the/files/lie
"""
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from swift.common.swob import Request, Response
from swift.proxy.controllers.base import get_container_info

PIECE = 64 * 1024


class Floor:
    def __init__(self, app, folder: str):
        self.app = app
        self._folder = folder

    def __call__(self, env, start_response):
        path = env['PATH_INFO']
        if env['REQUEST_METHOD'] != 'GET' or path.count('/') < 4:
            return self.app(env, start_response)
        req = Request(env)
        info = get_container_info(env, self.app, swift_source='FL')
        stem = f'{self._folder}/{file_stem(path)}'
        if not is_allowed(req, info['read_acl']) or not os.path.exists(stem):
            return self.app(env, start_response)
        with open(f'{stem}.json') as file:
            headers = json.load(file)
        response = Response(request=req, headers=headers, app_iter=pieces(stem), conditional_response=True)
        return response(env, start_response)


def is_allowed(req, acl) -> bool:
    """As proxy-server: first without the container's ACL, and with it where that was refused."""
    authorize = req.environ.get('swift.authorize')
    if authorize is None or authorize(req) is None:
        return True
    req.acl = acl
    return authorize(req) is None


def pieces(path: str) -> Iterator[bytes]:
    with open(path, 'rb', buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def file_stem(path: str) -> str:
    return quote(path, safe='')


def store(folder: Path, path: str, headers: dict[str, str], body: bytes) -> None:
    """Put an object there, as a filter that captured a miss would have done."""
    stem = file_stem(path)
    (folder / stem).write_bytes(body)
    (folder / f'{stem}.json').write_text(json.dumps({**headers, 'X-Floor': 'hit'}))


def filter_factory(global_conf, **local_conf):
    return lambda app: Floor(app, local_conf['folder'])
