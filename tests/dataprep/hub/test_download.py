"""Fetching from the hub, without a network: what is asked for, and what a failure says."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmseg_heritage.dataprep.hub.download import DEFAULT_REVISION, download
from mmseg_heritage.errors import InputError


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for huggingface_hub."""
    module = types.ModuleType("huggingface_hub")
    module.constants = types.SimpleNamespace(HF_HUB_OFFLINE=False, ENDPOINT="https://localhost")
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


def test_only_the_parquet_files_of_one_revision_are_asked_for(hub, tmp_path):
    asked = []
    hub.snapshot_download = lambda *args, **options: asked.append((args, options)) or str(tmp_path)
    assert download(cache_dir=tmp_path) == tmp_path
    assert asked == [
        (
            ("danielaivanova/damaged-media",),
            {
                "repo_type": "dataset",
                "revision": DEFAULT_REVISION,
                "allow_patterns": ["data/*.parquet"],
                "cache_dir": tmp_path,
                "local_files_only": False,
            },
        )
    ]


@pytest.mark.parametrize("error", [OSError("no network\nlong text"), RuntimeError()])
def test_a_failure_says_how_to_do_without(error, hub):
    def fail(*args, **options):
        raise error

    hub.snapshot_download = fail
    with pytest.raises(InputError) as caught:
        download("v1")
    message = str(caught.value)
    assert "revision v1 cannot be downloaded (" in message
    assert "/tree/v1/data on another machine" in message
    assert "\n" not in message


def test_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        InputError,
        match=r"needs huggingface_hub.*: pip install huggingface_hub; or fetch the files",
    ):
        download()


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does, from the ``files`` of its server: name -> content."""

    def do_HEAD(self):
        self.respond(with_content=False)

    def do_GET(self):
        self.server.asked.append(self.path)
        self.respond(with_content=True)

    def respond(self, with_content):
        files, path = self.server.files, self.path.partition("?")[0]
        content = files.get("data/" + path.rpartition("/data/")[2])
        answer = None
        if "/tree/" in path:  # what newer releases ask for
            answer = [
                {"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40}
                for name in files
            ]
        elif path.startswith("/api/datasets/"):
            siblings = [{"rfilename": name} for name in files]
            answer = {"id": "a/b", "sha": DEFAULT_REVISION, "siblings": siblings}
            answer |= {"private": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
        if answer is not None:
            content = json.dumps(answer).encode()
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", DEFAULT_REVISION)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def test_the_real_package_fetches_once_what_prepare_then_reads(hub_folder, tmp_path):
    pytest.importorskip("huggingface_hub")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []
    server.files = {f"data/{path.name}": path.read_bytes() for path in hub_folder.iterdir()}
    server.files["README.md"] = b"not asked for"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "mmseg_heritage", "prepare-artefact"]
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    try:
        for _ in range(2):
            done = subprocess.run(
                [*command, "--num-rows", "7"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
    finally:
        server.shutdown()
        server.server_close()
    assert f"revision {DEFAULT_REVISION}: data" in done.stdout
    assert "0 files written now, 14 were there" in done.stdout
    fetched = [path.rpartition("/")[2] for path in server.asked if "/api/" not in path]
    assert sorted(fetched) == sorted(path.name for path in hub_folder.iterdir())
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "expected 418 rows, as revision" in done.stderr  # the server is gone, the files are not
