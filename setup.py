"""Packaging: each top-level folder is one package of the namespace ``swiftahead``."""
from setuptools import setup

ROOMS = ('middleware', 'sidecar', 'cache', 'queues', 'predict', 'conf', 'cli', 'lab', 'sidecar/mover')


def name(room: str) -> str:
    return f'swiftahead.{room}'.replace('/', '.')


setup(
    packages=[name(room) for room in ROOMS],
    package_dir={name(room): room for room in ROOMS},
    data_files=[('share/swiftahead', [
        'etc/proxy-server.conf-sample',
        'etc/swiftahead-sidecar.conf-sample',
        'etc/swiftahead-sidecar.service',
        'etc/prometheus-alerts.yml-sample',
        'etc/statsd-exporter.yml-sample',
    ])],
)
