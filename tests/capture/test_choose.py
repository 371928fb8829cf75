"""Which backend records, and why."""

from dataclasses import dataclass, field

import pytest

from harness.capture.base import Availability, backends, choose
from harness.capture.cupti.backend import CuptiBackend
from harness.capture.nsys.backend import NsysBackend
from harness.errors import CaptureError, UsageError


@dataclass
class Backend:
    name: str
    records: dict
    priority: int | None
    works: bool = True
    summary: str = ""
    asked: list = field(default_factory=list)

    def probe(self, device, tool=None):
        self.asked.append((device, tool))
        if self.works:
            return Availability(True, f"{self.name} works")
        return Availability(False, f"{self.name} is missing", f"install {self.name}")


def make(**works):
    return [
        Backend("nsys", {"cuda": "cuda", "cpu": "cpu"}, 10, works.get("nsys", True)),
        Backend("cupti", {"cuda": "cuda"}, 20, works.get("cupti", True)),
        Backend("sim", {"no-gpu": "sim"}, 30, works.get("sim", True)),
        Backend("null", {"cuda": "cuda", "cpu": "cpu"}, None),
    ]


@pytest.mark.parametrize(
    ("name", "device", "gpu", "expected"),
    [
        ("auto", "auto", True, ("nsys", "cuda")),
        ("auto", "cuda", True, ("nsys", "cuda")),
        ("auto", "cpu", True, ("nsys", "cpu")),
        ("auto", "auto", False, ("sim", "sim")),
        ("auto", "cpu", False, ("nsys", "cpu")),
        ("cupti", "auto", True, ("cupti", "cuda")),
        ("nsys", "auto", False, ("nsys", "cpu")),
        ("null", "auto", True, ("null", "cuda")),
        ("null", "auto", False, ("null", "cpu")),
    ],
)
def test_choices(name, device, gpu, expected):
    choice = choose(name, device, gpu=gpu, among=make())
    assert (choice.backend.name, choice.device) == expected
    assert choice.backend.name in choice.reason


def test_the_next_best_and_why():
    choice = choose("auto", "auto", gpu=True, among=make(nsys=False))
    assert choice.backend.name == "cupti"
    assert choice.reason == "cupti: cupti works; nsys not: nsys is missing"


def test_an_nsys_that_cannot_be_asked_is_passed_over(tmp_path, monkeypatch):
    # The CUDA toolkit has a wrapper of that name, which looks for the real one.
    wrapper = tmp_path / "nsys"
    wrapper.write_text("#!/bin/sh\necho 'Error: no Nsight Systems'\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    choice = choose("auto", "auto", gpu=True, among=[NsysBackend(), *make()[1:]])
    assert choice.backend.name == "cupti"
    assert f"nsys not: {wrapper}: nsys --version says 'Error: no Nsight" in choice.reason


def test_a_remedy_is_given_once_and_leads_out(monkeypatch):
    monkeypatch.setenv("HARNESS_CUPTI_ROAD", "no")
    monkeypatch.setattr("harness.environment.has_gpu", lambda: True)
    with pytest.raises(CaptureError) as caught:
        choose("cupti", "cuda", gpu=True, among=[CuptiBackend()])
    assert str(caught.value).count("use shim or torch") == 1
    with pytest.raises(CaptureError, match="leave --capture cupti out: --device cpu records"):
        choose("cupti", "auto", gpu=False, among=make())
    with pytest.raises(UsageError) as refused:
        choose("cupti", "cpu", gpu=True, among=make())
    assert refused.value.remedy == "leave one of the two out"


def test_none_works():
    with pytest.raises(CaptureError, match="nsys is missing; cupti: cupti is missing") as caught:
        choose("auto", "auto", gpu=True, among=make(nsys=False, cupti=False))
    assert caught.value.remedy == "install nsys"
    assert caught.value.exit_code == 125


def test_no_gpu_and_nothing_that_does_without():
    with pytest.raises(CaptureError, match="--device cpu"):
        choose("auto", "auto", gpu=False, among=make()[:2])


def test_what_was_named_is_never_replaced():
    with pytest.raises(CaptureError, match="cannot record: cupti: cupti is missing"):
        choose("cupti", "auto", gpu=True, among=make(cupti=False))
    with pytest.raises(UsageError, match="does not record with --device cpu"):
        choose("cupti", "cpu", gpu=True, among=make())
    with pytest.raises(UsageError, match="use auto, cupti, nsys, null, sim"):
        choose("magic", "auto", gpu=True, among=make())


def test_a_backend_for_strategies_alone_is_passed_over_for_a_command():
    among = make()
    among[2].commands = False  # the simulated GPU
    assert choose("auto", "auto", gpu=False, among=among).backend.name == "sim"
    with pytest.raises(CaptureError, match="--device cpu"):
        choose("auto", "auto", gpu=False, command=True, among=among)
    with pytest.raises(UsageError, match="records the harness's own strategies, not a COMMAND"):
        choose("sim", "auto", gpu=False, command=True, among=among)


def test_the_path_of_the_tool_is_handed_on():
    (nsys, *_) = among = make()
    choose("nsys", "cpu", gpu=False, tool="/opt/nsys", among=among)
    assert nsys.asked == [("cpu", "/opt/nsys")]


def test_every_backend_keeps_the_contract():
    known = backends()
    assert {"nsys", "null"} <= set(known)
    for name, backend in known.items():
        assert backend.name == name
        assert backend.summary
        assert set(backend.records) <= {"cuda", "cpu", "no-gpu"}
        assert backend.priority is None or isinstance(backend.priority, int)
        assert callable(backend.probe)
        assert callable(backend.record)
