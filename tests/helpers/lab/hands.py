"""Hands inside a lab: objects written where no client's request would put them, by a process of their own, since
Swift's policies and rings belong to a whole process."""
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path


class Hands:
    """Used as a context manager. Paths are ``/v1/A/C/O``, as clients have them; timestamps may carry an offset."""

    def __init__(self, lab):
        self._command = [sys.executable, __file__, str(lab.swift_dir)]

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        # it ends with its input
        self._process.communicate(timeout=60)

    def put(self, path: str, policy: int, timestamp: str, body: str = 'misplaced', **headers) -> None:
        """A PUT by InternalClient: object servers and container rows get it."""
        self._do('put', path, policy, timestamp, body, headers)

    def delete(self, path: str, policy: int, timestamp: str) -> None:
        self._do('delete', path, policy, timestamp)

    def delete_one(self, path: str, policy: int, timestamp: str, primary: int = -1) -> None:
        """A tombstone on one primary alone, by default the last that is asked; no row."""
        self._do('delete_one', path, policy, timestamp, primary)

    def delete_row(self, path: str, policy: int, timestamp: str, primaries: int = 3) -> None:
        """The container's servers, so many of them, learn of a DELETE that no object server did."""
        self._do('delete_row', path, policy, timestamp, primaries)

    def put_row(self, path: str, policy: int, timestamp: str) -> None:
        """They learn of a PUT, all of them."""
        self._do('put_row', path, policy, timestamp)

    def container_folder(self, path: str) -> str:
        """Name of the folder that each of the container's servers has."""
        return self._do('container_folder', path)

    def _do(self, *command):
        assert self._process.stdin and self._process.stdout
        print(json.dumps(command), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, 'the hands are gone'
        return json.loads(answer)


class Inside:
    """What runs in the other process."""

    def __init__(self, swift_dir: Path):
        from swift.common import direct_client
        from swift.common.internal_client import InternalClient
        from swift.common.ring import Ring
        from swift.common.storage_policy import POLICIES
        self._direct = direct_client
        self._client = InternalClient(str(swift_dir / 'internal-client.conf'), 'hands', 1)
        self._policies = POLICIES
        self._rings = {'container': Ring(str(swift_dir), ring_name='container')}
        for policy in POLICIES:
            policy.load_ring(str(swift_dir))
            self._rings[int(policy)] = policy.object_ring

    def put(self, path, policy, timestamp, body, headers):
        self._client.upload_object(BytesIO(body.encode()), *parts(path), headers={
            **at(policy, timestamp), 'Content-Length': str(len(body)), **headers})

    def delete(self, path, policy, timestamp):
        self._client.delete_object(*parts(path), headers=at(policy, timestamp))

    def delete_one(self, path, policy, timestamp, primary):
        part, nodes = self._rings[policy].get_nodes(*parts(path))
        try:
            self._direct.direct_delete_object(nodes[primary], part, *parts(path), headers=at(policy, timestamp))
        except self._direct.ClientException as error:
            if error.http_status != 404:
                raise

    def delete_row(self, path, policy, timestamp, primaries):
        part, nodes = self._rings['container'].get_nodes(*parts(path)[:2])
        for node in nodes[:primaries]:
            self._direct.direct_delete_container_object(node, part, *parts(path), headers=at(policy, timestamp))

    def put_row(self, path, policy, timestamp):
        part, nodes = self._rings['container'].get_nodes(*parts(path)[:2])
        row = {'X-Size': '9', 'X-Etag': 'x', 'X-Content-Type': 'text/plain'}
        for node in nodes:
            self._direct.direct_put_container_object(node, part, *parts(path),
                                                     headers={**at(policy, timestamp), **row})

    def container_folder(self, path):
        from swift.common.utils import hash_path
        return hash_path(*parts(path)[:2])


def at(policy, timestamp):
    return {'X-Backend-Storage-Policy-Index': str(policy), 'X-Timestamp': timestamp}


def parts(path):
    return path.split('/', 4)[2:]


def main(swift_dir: str) -> None:
    from swift.common.storage_policy import reload_storage_policies
    from swift.common.utils import set_swift_dir
    set_swift_dir(swift_dir)
    reload_storage_policies()
    inside = Inside(Path(swift_dir))
    for line in sys.stdin:
        name, *more = json.loads(line)
        print(json.dumps(getattr(inside, name)(*more)), flush=True)


if __name__ == '__main__':
    main(sys.argv[1])
