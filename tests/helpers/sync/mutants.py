"""Mutants of the syncer, each of which its tests must find."""
from types import SimpleNamespace

from swift.common.utils import Timestamp

from swiftahead.sidecar.syncer import row, turn
from swiftahead.sidecar.syncer.row import Sender
from swiftahead.sidecar.syncer.source import SourceObjects, SyncedContainer
from swiftahead.sidecar.syncer.turn import Turn


def no_head_after_a_post(patch):
    inner = Sender._post

    def _post(self, container, of, meta, found):
        remote, self._remote = self._remote, SimpleNamespace(post=self._remote.post, head=lambda *_: found)
        try:
            return inner(self, container, of, meta, found)
        finally:
            self._remote = remote
    patch.setattr(Sender, '_post', _post)


def equal_times_taken_for_equal_bodies(patch):
    patch.setattr(Sender, '_is_in_step', lambda self, container, of, meta, found: found.timestamp >= meta)


def point_moved_before_its_rows_are_sent(patch):
    patch.setattr(turn._UnderWay, 'done', property(lambda self: self.last))


def share_of_another_node(patch):
    inner = SyncedContainer.is_ours

    def is_ours(self, of):
        return inner(SimpleNamespace(account=self.account, name=self.name, replicas=self.replicas,
                                     ordinal=(self.ordinal + 1) % self.replicas), of)
    patch.setattr(SyncedContainer, 'is_ours', is_ours)


def no_share(patch):
    patch.setattr(SyncedContainer, 'is_ours', lambda self, of: True)


def time_not_kept(patch):
    inner = row._of_the_object
    patch.setattr(row, '_of_the_object', lambda headers: {
        **inner(headers), 'x-timestamp': Timestamp(float(headers['x-timestamp']) + 0.25).normal})


def failed_row_passed_over(patch):
    inner = Turn._failed

    def _failed(self, *more):
        inner(self, *more)
        self._progress.failed.clear()
    patch.setattr(Turn, '_failed', _failed)


def old_copy_sent(patch):
    inner = SourceObjects._request
    patch.setattr(SourceObjects, '_request', lambda self, method, container, name, least: inner(
        self, method, container, name, Timestamp(0)))


def rows_of_one_object_at_the_same_time(patch):
    inner = Turn._begin

    def _begin(self, of, second_look):
        self._under_way.pop(of['name'], None)
        inner(self, of, second_look)
    patch.setattr(Turn, '_begin', _begin)
