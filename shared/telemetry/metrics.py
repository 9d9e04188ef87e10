"""Every metric of Tandem, each declared once with kind, unit and meaning.

`docs/operations.md` lists them; a test keeps the list true.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# From a minute to a week: people answer, and only some hours count.
_ANSWER_SECONDS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800)
_FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one process, on a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a timestamp beside each counter, which nobody asks for
        self.registry = CollectorRegistry()

        # Every service
        self.http_seconds = self._histogram(
            "http_request_seconds", "Time to answer a request.", "service", "route", "status"
        )
        self.connections = self._gauge("connections", "Connections of clients held now.")
        self.connections_cut = self._counter(
            "connections_cut", "Connections closed for their slowness, their size or for want of places.", "reason"
        )
        self.batch_seconds = self._histogram("batch_seconds", "Time to process one fetch of a worker.", "worker")
        self.consumed_records = self._counter("consumed_records", "Records processed by a worker.", "worker")
        self.consumer_lag_seconds = self._gauge(
            "consumer_lag_seconds", "Age of the oldest record in the last fetch, when it was done.", "worker"
        )
        self.partitions_stalled = self._gauge(
            "partitions_stalled", "Partitions that stand still until somebody acts; the log names them.", "worker"
        )
        self.topics_absent = self._gauge(
            "topics_absent", "Topics of others that a worker would read and that are not there.", "worker"
        )
        self.records_set_aside = self._counter(
            "records_set_aside", "Records that broke their handler and were kept with the reason.", "worker"
        )
        self.workers_halted = self._gauge(
            "workers_halted", "1 while a worker stands still because everything breaks its handler.", "worker"
        )
        self.outbox_waiting = self._gauge(
            "outbox_waiting_messages", "Messages decided but not yet in the log.", "service"
        )
        self.outbox_oldest_seconds = self._gauge(
            "outbox_oldest_seconds", "Age of the oldest message not yet in the log.", "service"
        )

        self.erased_dropped = self._counter(
            "erased_dropped", "Messages about erased contacts that came later and were dropped.", "service"
        )

        # Ingest
        self.events_accepted = self._counter("events_accepted", "Events answered with success.", "source")
        self.requests_refused = self._counter("requests_refused", "Requests answered with an error.", "reason")
        self.events_rejected = self._counter("events_rejected", "Events kept in events.rejected.", "reason")
        self.tombstones_passed = self._counter("tombstones_passed", "Records without a value that were passed over.")
        self.rejections_replayed = self._counter("rejections_replayed", "Rejections appended once more to their topic.")
        self.requests_in_flight = self._gauge("requests_in_flight", "Requests that wait for the log now.")
        self.bytes_in_flight = self._gauge("bytes_in_flight", "Bytes of requests' bodies held now.")
        self.log_away = self._gauge("log_away", "1 while ingest refuses because the log takes nothing, else 0.")
        self.source_quota_used = self._gauge(
            "source_quota_used_ratio", "Part of its daily quota that is used.", "source"
        )
        self.touches_published = self._counter("touches_published", "Touches handed to the scorer.")
        self.contacts_readmitted = self._counter(
            "contacts_readmitted", "People who were erased and are contacts again."
        )
        self.merges = self._counter("merges", "Contacts merged into another.")
        self.merges_undone = self._counter("merges_undone", "Merges undone by somebody.")
        self.merges_refused = self._counter(
            "merges_refused", "Times that names or contacts seen together were kept apart.", "reason"
        )

        self._declare_scorer()
        self._declare_router()

    def _declare_scorer(self) -> None:
        self.touches_counted = self._counter("touches_counted", "Touches scored for the first time.")
        self.touches_suspect = self._counter(
            "touches_suspect", "Touches that count nothing: a machine may have made them."
        )
        self.touches_repeated = self._counter("touches_repeated", "Touches seen before and ignored.")
        self.contacts_erased = self._counter("contacts_erased", "Contacts erased on request.")
        self.contacts_replayed = self._counter(
            "contacts_replayed", "Contacts counted under an agreement before it is in force."
        )
        self.replay_progress = self._gauge(
            "replay_progress_ratio", "Part of all contacts that is counted under the agreement about to be in force."
        )
        self.accounts_decided = self._counter(
            "accounts_decided", "Accounts decided after somebody of theirs did something."
        )
        self.handoffs_decided = self._counter("handoffs_decided", "Contacts that became sales-ready.", "reason")
        self.nurtures_told = self._counter("nurtures_told", "Contacts that marketing was told to keep helping.", "kind")

    def _declare_router(self) -> None:
        self.handoffs_assigned = self._counter("handoffs_assigned", "Handoffs given to a rep.", "pool")
        self.handoffs_unowned = self._gauge("handoffs_unowned", "Handoffs that wait for a rep in the queue.")
        self.handoffs_oldest_unowned_seconds = self._gauge(
            "handoffs_oldest_unowned_seconds", "Age of the oldest handoff that waits for a rep."
        )
        self.clocks_running = self._gauge("clocks_running", "Handoffs that wait for an answer.", "state")
        self.clock_steps = self._counter("clock_steps", "What the clock did because nobody answered.", "pool", "step")
        self.response_seconds = self._histogram(
            "response_seconds",
            "Time in the rep's hours from being given a handoff to the answer.",
            "pool",
            buckets=_ANSWER_SECONDS,
        )
        self.delivery_attempts = self._counter("delivery_attempts", "Webhook attempts.", "outcome")
        self.delivery_seconds = self._histogram("delivery_attempt_seconds", "Duration of a webhook attempt.", "outcome")
        self.delivery_end_to_end_seconds = self._histogram(
            "delivery_end_to_end_seconds", "Time from a delivery's creation to its success."
        )
        self.breakers_opened = self._counter(
            "breakers_opened", "Times that an endpoint's breaker opened, or stayed open after an attempt.", "endpoint"
        )
        self.deliveries_waiting = self._gauge("deliveries_waiting", "Deliveries due now or later.")

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"tandem_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"tandem_{name}", meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _FAST_SECONDS
    ) -> Histogram:
        return Histogram(f"tandem_{name}", meaning, labels, registry=self.registry, buckets=buckets)
