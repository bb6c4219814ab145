"""Metrics of the log, where LiteLLM has a library for them."""


def publish(store):
    try:
        from prometheus_client import Gauge
    except ImportError:
        return
    values = {
        "requests": ("Requests whose lines were written or are held.", lambda: store.written),
        "held": ("Records that wait in memory because the log cannot be written.", lambda: store.held),
        "lost": ("Records that are lost since the log cannot be written.", lambda: store.gap.dropped if store.gap else 0),
        "unwritable": ("1 while the log cannot be written.", lambda: 0 if store.gap is None else 1),
    }
    for name, (text, value) in values.items():
        Gauge(f"gpubox_trajectory_{name}", text).set_function(value)
