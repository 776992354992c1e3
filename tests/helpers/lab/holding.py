"""A filter for a lab's object server that keeps an answer from being whole as long as a file is there."""
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swift.common.concurrency import sleep
from swift.common.utils import close_if_possible

# shorter than a proxy waits for the next piece
LONGEST = 5.0


class Holding:
    """A GET's first piece comes at once, each later one after LONGEST seconds, or when the file is gone."""

    def __init__(self, app, file: str):
        self.app = app
        self.file = file

    def __call__(self, env, start_response):
        answer = self.app(env, start_response)
        return self._pieces(answer) if env['REQUEST_METHOD'] == 'GET' else answer

    def _pieces(self, answer) -> Iterator[bytes]:
        try:
            for piece in answer:
                yield piece
                waited = 0.0
                while waited < LONGEST and os.path.exists(self.file):
                    sleep(0.01)
                    waited += 0.01
        finally:
            close_if_possible(answer)


def filter_factory(global_conf, **local_conf):
    return lambda app: Holding(app, local_conf['file'])


def _file(lab) -> Path:
    return lab.layout.run / 'hold'


def add_holding(lab) -> None:
    """Put the filter into the first object server; the lab's environment must have tests/ in PYTHONPATH."""
    conf = lab.conf_path('object1')
    text = conf.read_text().replace(' object-server\n', ' holding object-server\n', 1)
    section = f'[filter:holding]\npaste.filter_factory = helpers.lab.holding:filter_factory\nfile = {_file(lab)}\n'
    conf.write_text(f'{text}\n{section}')
    lab.restart('object1')


def let_go(lab) -> None:
    _file(lab).unlink(missing_ok=True)


@contextmanager
def held(lab) -> Iterator[None]:
    """Answers of more than a piece are not whole before the block ends, or lets them go."""
    _file(lab).touch()
    try:
        yield
    finally:
        let_go(lab)
