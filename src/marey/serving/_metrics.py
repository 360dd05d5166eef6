"""What the service counts, for Prometheus."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_METHODS = ("GET", "HEAD", "POST", "DELETE")
_SECONDS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Counts requests and the frames of streams.

    Args:
        jobs: Gives the number of jobs of each status.
        waiting: Gives the number of predictions that wait or are worked on.
    """

    def __init__(self, jobs: Callable[[], Mapping[str, int]], waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter(
            "marey_requests", "Requests answered", (*labels, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "marey_request_seconds",
            "Seconds until a request was answered",
            labels,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.dropped = Counter(
            "marey_stream_frames_dropped",
            "Frames of streams that were dropped because newer ones had come",
            registry=self._registry,
        )
        gauge = Gauge(
            "marey_predictions", "Predictions waiting or at work", registry=self._registry
        )
        gauge.set_function(waiting)
        self._registry.register(_JobCounts(jobs))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)


class _JobCounts(Collector):
    """The jobs of each status, counted when asked."""

    def __init__(self, jobs: Callable[[], Mapping[str, int]]) -> None:
        self._jobs = jobs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("marey_jobs", "Jobs kept", labels=["status"])
        counts = self._jobs()
        for status in ("queued", "running", "done", "failed", "cancelled"):
            family.add_metric([status], counts.get(status, 0))
        yield family
