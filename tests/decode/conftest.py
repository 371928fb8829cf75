"""Without torch nothing here can run, and that is said; a fixture for what a CPU lacks."""

import pytest

try:
    import torch
except ImportError:
    torch = None


def pytest_pycollect_makemodule(module_path, parent):
    if torch is None:
        pytest.skip("recording needs torch: pip install '.[strategies]'", allow_module_level=True)


@pytest.fixture
def fake_events(monkeypatch):
    """Device events that a CPU lacks, for transformers' DeferredStopCheck."""

    class FakeEvent:
        def __init__(self, **_):
            pass

        def record(self):
            pass

        def synchronize(self):
            pass

    monkeypatch.setattr(torch, "Event", FakeEvent)
