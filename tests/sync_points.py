"""The points of container sync, S1 to S20, and the tests that hold each by their marker: `make rules`.

A test holds a point by ``@pytest.mark.holds('S10')``.
"""

POINTS = {
    'S1': 'A destination is ``//realm/cluster/account/container`` or a URL of an allowed host, and has a key',
    'S2': "Each request is signed as upstream's are, or carries the key where there is no realm",
    'S3': "Upstream's middleware ``container_sync`` takes the requests, with either key of a realm",
    'S4': 'A changed ``container-sync-realms.conf`` is read again, and a missing one is no error',
    'S5': '``/info`` tells realms and clusters',
    'S6': 'The sync points are those of the database, and no row is left out below the second one',
    'S7': 'A primary of the database syncs it, and none that is deleted, versioned or gone',
    'S8': 'Interval, time of a container, concurrency, and what is reported',
    'S9': 'The newest copy is sent, and none that is older than its row',
    'S10': 'A DELETE of what is gone has succeeded; what the other cluster has is not sent',
    'S11': "The other cluster's object has the time, the metadata and the expiry of the source",
    'S12': 'The newer object wins, both ways and in a ring',
    'S13': 'Manifests are sent as they are, those of static and of dynamic large objects',
    'S14': 'Symbolic links stay links',
    'S15': 'An encrypted object is sent in clear, for the other cluster to encrypt',
    'S16': 'Links of object versioning are not sent',
    'S17': 'Proxies, timeouts and tries; each failure is told and tried again',
    'S18': "The internal client's pipeline is the operator's, or upstream's",
    'S19': 'Sources are read through the replication network',
    'S20': "The names in statsd are upstream's"}


def tests() -> dict[str, list[tuple[str, str]]]:
    """Point -> (file, test) of each that holds it."""
    # promises has the points on its page
    import promises
    return promises.marked_tests()


def missing() -> list[str]:
    """Name the points that no test holds."""
    held = tests()
    return [point for point in POINTS if not held.get(point)]


def main() -> None:
    held = tests()
    for point, text in POINTS.items():
        print(f'{point:<4} {text}')
        for file, test in held.get(point, []):
            print(f'     {file}::{test}' if test else f'     {file}')
    wrong = [f'{point} has no test' for point in missing()]
    print('', *wrong or ['each point of container sync has a test'], sep='\n')


if __name__ == '__main__':
    main()
