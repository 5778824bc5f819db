"""`emotrace serve`: a real server in a process of its own, and what keeps it from starting."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.cli import serve
from emotrace.errors import EmotraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Call

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a process there cannot be told to stop so")


@contextmanager
def served(*words: object) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run a server on a free port; yield its process, its address and what it said before that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emotrace", "serve", "--port", "0", *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        told, found = "", None
        while found is None:
            line = process.stderr.readline()
            assert line, f"it ended: {told}"
            told += line
            found = re.search(r"http://\S+", line)
        try:
            yield process, found[0], told
        finally:
            process.kill()


def ask(url: str) -> Any:
    # Around any proxy of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_stopped(tmp_path: Path, number: int, code: int) -> None:
    with served("--folder", tmp_path / "videos", "--max-upload-mb", 7) as (process, address, told):
        info = ask(f"{address}/api/info")
        assert info["max_upload_bytes"] == 7 * 2**20
        assert info["bundle"]["name"] == "default"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert str(tmp_path / "videos") in told
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("stopped: ")
    assert (tmp_path / "videos").is_dir()


def test_others_in_the_network_are_a_decision(tmp_path: Path) -> None:
    with served("--folder", tmp_path, "--host", "0.0.0.0") as (_, address, told):  # noqa: S104
        assert address.startswith("http://localhost:")
        assert "there is no password" in told


def test_a_port_that_is_taken_is_said(call: Call, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = call("serve", "--port", port, "--folder", tmp_path / "videos")
    assert said.code == 1
    (line,) = said.error_lines
    assert f"expected to listen on 127.0.0.1, port {port}; got: " in line
    assert "choose another --port, or 0 for a free one" in line
    assert not (tmp_path / "videos").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "expected --port of 0 to 65535; got 70000"),
        (["--jobs", "0"], "expected --jobs of at least 1; got 0"),
        (["--max-live", "-1"], "expected --max-live of at least 0; got -1"),
        (["--host", "999.1.2.3"], "expected --host to be an address of this machine"),
        (["--prot", "1"], "--prot"),
    ],
)
def test_wrong_flags_are_one_line(call: Call, words: list[str], said: str) -> None:
    answer = call("serve", *words)
    assert answer.code == 2
    (line,) = answer.error_lines
    assert said in line


def test_a_folder_or_bundle_that_cannot_be_is_said(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for words, part in (
        (["--folder", tmp_path / "file"], "it is a file"),
        (["--folder", tmp_path / "new", "--bundle", "nobody"], "nobody"),
    ):
        said = call("serve", "--port", 0, *words)
        assert said.code == 1
        assert part in said.error_lines[-1]
    assert not (tmp_path / "new").exists()


def test_without_its_packages_it_says_what_to_install() -> None:
    words = r"fastapi is not installed; .* pip install"
    with pytest.raises(EmotraceError, match=words), serve.serve_packages():
        raise ModuleNotFoundError(name="fastapi")
    with pytest.raises(ModuleNotFoundError), serve.serve_packages():
        raise ModuleNotFoundError(name="emotrace.web.nothing")


def test_the_packages_it_asks_for_are_those_of_the_extra() -> None:
    from emotrace.cli.doctor_packages import requirements

    brought = {item.name.replace("-", "_") for item in requirements(extra="serve")}
    assert brought <= serve.SERVE_PACKAGES
