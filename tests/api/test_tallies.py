"""Tallies in Prometheus's text form."""

from prometheus_client import CollectorRegistry, generate_latest

from gateway.api.tallies import Count, Times


def test_counts_and_times_are_what_prometheus_reads() -> None:
    registry = CollectorRegistry()
    count, times = Count("calls", "Calls", ["to"]), Times("took_seconds", "Took", ["to"], bounds_s=(0.1, 1))
    registry.register(count)
    registry.register(times)
    for took_s in (0.05, 0.1, 0.5, 7):
        count.add("a")
        times.add(took_s, "a")
    lines = generate_latest(registry).decode().splitlines()
    assert 'calls_total{to="a"} 4.0' in lines
    assert [line for line in lines if line.startswith("took_seconds")] == [
        'took_seconds_bucket{le="0.1",to="a"} 2.0',
        'took_seconds_bucket{le="1.0",to="a"} 3.0',
        'took_seconds_bucket{le="+Inf",to="a"} 4.0',
        'took_seconds_count{to="a"} 4.0',
        'took_seconds_sum{to="a"} 7.65',
    ]
