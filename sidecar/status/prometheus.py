"""The figures as Prometheus reads them."""
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...metrics.table import METRICS
from .snapshot import Figures

FAMILIES = {'counter': CounterMetricFamily, 'gauge': GaugeMetricFamily}


class FiguresCollector(Collector):
    """One moment's figures; what is not known is left out, so that nobody takes it for a zero."""

    def __init__(self, figures: Figures):
        self._told = {**figures.gauges, **figures.counters}

    def collect(self) -> Iterable[Metric]:
        for metric in METRICS:
            known = [(slot, self._told[slot]) for slot in metric.slots if slot in self._told]
            if known:
                yield self._family(metric, known)

    def _family(self, metric, known):
        family = FAMILIES[metric.kind](f'swiftahead_{metric.name}', metric.meaning,
                                       labels=[metric.label] if metric.label else [])
        for slot, value in known:
            family.add_metric([slot.partition('.')[2]] if metric.label else [], value)
        return family


def exposition(figures: Figures, accept: str = '') -> tuple[bytes, str]:
    """Body and content type.

    :param accept: the request's header; old scrapers and new want different formats
    """
    # not the global registry, which holds numbers of this one process
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FiguresCollector(figures))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
