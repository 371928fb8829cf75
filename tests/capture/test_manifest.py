"""The manifest: written whole, read with patience, and without secrets."""

import json

import pytest

from harness.errors import HarnessError
from harness.manifest import RunManifest, manifest_beside, read_manifest, redacted

MANIFEST = RunManifest(
    origin="measured",
    capture={"backend": "nsys", "graph_trace": "graph"},
    exit_code=0,
    argv=("python", "loop.py"),
    strategy="kv-cache",
    choices={"cache": "dynamic"},
    seeds={"workload": 0},
    notes=("one",),
)


def test_round_trip(tmp_path):
    path = tmp_path / "a.json"
    MANIFEST.write(path)
    assert read_manifest(path) == MANIFEST
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]
    assert next(iter(json.loads(path.read_text()))) == "manifest_version"


def test_a_newer_one_is_read_as_far_as_it_is_known(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps(
            {
                "manifest_version": 7,
                "origin": "simulated",
                "capture": {"backend": "sim", "new": 1},
                "exit_code": 0,
                "invented_later": [1, 2],
            }
        )
    )
    found = read_manifest(path)
    assert found.manifest_version == 7
    assert found.capture["new"] == 1


GOOD = {"manifest_version": 1, "origin": "measured", "capture": {}, "exit_code": 0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no manifest"),
        ('{"a": 1}', "no manifest_version"),
        (json.dumps(GOOD | {"manifest_version": "one"}), "manifest_version 'one'"),
        (json.dumps(GOOD | {"manifest_version": True}), "manifest_version True"),
        (json.dumps(GOOD | {"origin": "guessed"}), "origin = 'guessed'"),
        (json.dumps(GOOD | {"capture": []}), r"capture = \[\]"),
        (json.dumps(GOOD | {"argv": "python"}), "argv = 'python'"),
        (json.dumps(GOOD | {"exit_code": None}), "exit_code = None"),
        (json.dumps(GOOD | {"strategy": 3}), "strategy = 3"),
        (json.dumps({"manifest_version": 1}), "has no 'origin'"),
    ],
)
def test_what_is_no_manifest(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(HarnessError, match=words) as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)


def test_beside_a_trace(tmp_path):
    assert manifest_beside(tmp_path / "a.sqlite") is None
    MANIFEST.write(tmp_path / "a.json")
    assert manifest_beside(tmp_path / "a.sqlite") == MANIFEST
    assert manifest_beside(tmp_path / "a.nsys-rep") == MANIFEST


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("python a.py --hf-token=abc", "python a.py --hf-token=***"),
        ("python a.py --api-key abc --n 3", "python a.py --api-key *** --n 3"),
        ("python a.py --password --n 3", "python a.py --password --n 3"),
        ("python a.py --eos-token 50256", "python a.py --eos-token 50256"),
        ("python a.py --prompt-tokens=1,2", "python a.py --prompt-tokens=1,2"),
        ("python a.py --max-new-tokens 100", "python a.py --max-new-tokens 100"),
        ("python a.py --key=value", "python a.py --key=***"),
        ("python a.py --monkey=value", "python a.py --monkey=value"),
        ("env HF_TOKEN=abc python a.py", "env HF_TOKEN=*** python a.py"),
        ("python a.py wandb.api_key=abc lr=3", "python a.py wandb.api_key=*** lr=3"),
        ("python a.py token abc", "python a.py token abc"),
    ],
)
def test_secrets_in_a_command_line(argv, expected):
    assert redacted(argv.split()) == tuple(expected.split())
