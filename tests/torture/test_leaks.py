"""Nothing gets out: the search finds what is planted, and nothing in what decoders say and runs leave and show."""

from __future__ import annotations

import base64
import bz2
import gzip
import http.server
import io
import json
import lzma
import os
import signal
import threading
import time
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fixtures.key_files import Keys, make_keys
from tests.torture import leaks
from tests.torture.canaries import PERSONAL, Hit, Search, Secrets
from tests.torture.leaks import (
    Figures,
    LeakSite,
    Run,
    decoding,
    disk_full,
    killed,
    published,
    refused_files,
    stopped_by_the_guard,
)
from tests.torture.leaks_inputs import avro, rows, tarred, zipped
from tests.torture.leaks_watch import Watch

_MAIL = PERSONAL["e-mail"][0]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def search(keys: Keys) -> Search:
    return Search(secrets_of(keys))


def secrets_of(keys: Keys) -> Secrets:
    return Secrets.of(keys, {"envelope": bytes(range(32))}, {"another key": b"a long key" * 9})


@pytest.mark.parametrize("what", PERSONAL)
@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.encode(),
        lambda text: text.upper().encode(),
        lambda text: text.lower().encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.upper().encode("utf-16-be"),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.b64encode(b"x" + text.encode() + b"yz"),
        lambda text: base64.urlsafe_b64encode(b"xx" + text.lower().encode()),
        lambda text: text.encode().hex().encode(),
        lambda text: text.upper().encode().hex().upper().encode(),
        lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
        lambda text: "".join(f"\\u{ord(c):04X}" for c in text).encode(),
        lambda text: urllib.parse.quote(text, safe="() /+").encode() if text.isascii() else text.encode(),
        lambda text: json.dumps(text).encode(),
    ],
)
def test_every_canary_is_found_in_every_notation(search: Search, what: str, write: Callable[[str], bytes]) -> None:
    for text in PERSONAL[what]:
        found = search.in_bytes(b"before it " + write(text) + b" behind it", "x")
        assert what in {hit.what for hit in found}, text


def _parquet(text: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"a": ["", text] * 9, "b": [[{"c": text}]] * 18}), sink, compression="zstd", write_statistics=False
    )
    return sink.getvalue()


def _arrow_compressed(codec: str) -> Callable[[str], bytes]:
    def write(text: str) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(text.encode() * 100)
        return bytes(sink.getvalue())

    return write


def _java_lz4(text: str) -> bytes:
    block = pa.Codec("lz4_raw").compress(text.encode() * 9, asbytes=True)
    sizes = len(block).to_bytes(4, "little") + (9 * len(text.encode())).to_bytes(4, "little")
    return b"LZ4Block\x26" + sizes + bytes(4) + bytes(block)


def _java_snappy(text: str) -> bytes:
    block = pa.Codec("snappy").compress(text.encode(), asbytes=True)
    return b"\x82SNAPPY\x00" + bytes([0, 0, 0, 1, 0, 0, 0, 1]) + len(block).to_bytes(4, "big") + bytes(block)


@pytest.mark.parametrize(
    "write",
    [
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(text.encode() * 2000)[:-30],
        lambda text: zlib.compress(text.encode()),
        lambda text: bz2.compress(text.encode()),
        lambda text: lzma.compress(text.encode()),
        _arrow_compressed("zstd"),
        _arrow_compressed("lz4"),
        _java_lz4,
        _java_snappy,
        _parquet,
        lambda text: zipped("x", text.encode()),
        lambda text: tarred("x", gzip.compress(text.encode())),
        lambda text: zipped("x", _parquet(text)),
    ],
)
def test_canaries_are_found_inside_of_what_is_packed(search: Search, write: Callable[[str], bytes]) -> None:
    assert {hit.what for hit in search.in_bytes(write(f"0123 {_MAIL} 4567"), "x")} == {"e-mail"}
    assert search.in_bytes(write("nothing of interest"), "x") == []


def test_canaries_are_found_in_avro_and_in_the_statistics_of_a_cut_parquet_file(search: Search) -> None:
    assert {hit.what for hit in search.in_bytes(avro(rows()), "x")} >= {"e-mail", "phone", "national id"}
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [_MAIL]}), sink, compression="zstd")
    footer = sink.getvalue()[-400:]
    assert {hit.what for hit in search.in_bytes(footer, "x")} == {"e-mail"}


@pytest.mark.parametrize(
    "write",
    [
        lambda value: value,
        lambda value: value.hex().encode(),
        base64.b64encode,
        lambda value: base64.urlsafe_b64encode(b"ab" + value),
        lambda value: repr(value).encode(),
        lambda value: str(list(value)).encode(),
        lambda value: value.decode("latin-1").encode(),
    ],
)
def test_every_secret_is_found_in_every_notation(keys: Keys, search: Search, write: Callable[[bytes], bytes]) -> None:
    for name, value in secrets_of(keys).values.items():
        assert name in {hit.what for hit in search.in_bytes(b">> " + write(value) + b" <<", "x")}


def test_a_file_that_is_deleted_at_once_is_searched_all_the_same(tmp_path: Path) -> None:
    site = LeakSite(tmp_path, Figures())
    code = f"import time; f = open('x', 'w'); f.write('{_MAIL}'); f.flush(); time.sleep(3); import os; os.remove('x')"
    run = site.run_command(["python", "-c", code])
    assert {hit.what for hit in run.hits} == {"e-mail"}
    assert any("while running" in hit.place for hit in run.hits)


def test_a_watch_that_breaks_is_told(tmp_path: Path) -> None:
    def breaks(_: Path) -> bool:
        raise ZeroDivisionError

    (tmp_path / "file").write_text("x")
    watch = Watch(os.getsid(0), [tmp_path], tmp_path / "kept", is_clear=breaks, ui_port=None)
    watch.start()
    watch.join(timeout=60)
    with pytest.raises(RuntimeError, match="not everything was seen"):
        watch.finish()


class _BreaksOff(http.server.BaseHTTPRequestHandler):
    """Ends its answers before they are whole, but for the one that names the applications."""

    asked: list[str]

    def do_GET(self) -> None:
        whole = self.path.endswith("/applications")
        data = b'[{"id": "app"}]' if whole else b"cut off"
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) if whole else 100))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_watch_goes_on_where_the_ui_ends_in_the_midst_of_an_answer(tmp_path: Path) -> None:
    _BreaksOff.asked = []
    with http.server.HTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        watch = Watch(
            os.getsid(0), [], tmp_path / "kept", is_clear=lambda _: False, ui_port=int(server.server_address[1])
        )
        watch.start()
        deadline = time.monotonic() + 60
        while _BreaksOff.asked.count("/environment/") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        watch.finish()
        server.shutdown()
    assert _BreaksOff.asked.count("/environment/") > 1
    assert not watch.has_seen_ui


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(lambda folder, figures: killed(folder, figures, moment="x", sign=signal.SIGKILL), id="killed"),
        pytest.param(
            lambda folder, figures: killed(folder, figures, moment="x", sign=signal.SIGABRT, again=False), id="aborted"
        ),
        pytest.param(disk_full, id="disk full"),
    ],
)
def test_what_a_disturbed_run_lets_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Path, Figures], list[str]]
) -> None:
    hit = Hit("e-mail", "utf-8", "somewhere")
    runs = iter([Run(1, "", [hit]), Run(0, "Run ", [])])
    monkeypatch.setattr(LeakSite, "run", lambda *_, **__: next(runs))
    monkeypatch.setattr(leaks, "left", lambda _: [])
    assert scenario(tmp_path, Figures()) == [str(hit)]


def test_a_disturbed_run_that_ends_well_is_told() -> None:
    assert leaks.disturbed(Run(0, "", [])) == ["it was disturbed, and ended well"]


def test_the_suite_fails_at_a_hit_that_its_scenario_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says_nothing(_: Path, figures: Figures) -> list[str]:
        figures.hits.append(Hit("e-mail", "utf-8", "somewhere"))
        return []

    monkeypatch.setitem(leaks.SCENARIOS, "scanned", says_nothing)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # of the process that runs the tests
    part = tmp_path / "part.json"
    assert leaks.main(["--only=scanned", f"--part={part}"]) == 1
    assert json.loads(part.read_text())["failures"] == ["scanned: e-mail (utf-8) in somewhere"]


def test_decoders_and_drafts_say_no_value_of_a_file_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    findings = decoding(tmp_path, seed=1, count=600)
    assert findings.hits == []
    assert len(findings.outcomes) > 12
    assert findings.searched_bytes > 100_000


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.long)])
def test_nothing_gets_out_of_runs_that_publish(tmp_path: Path, *, again: bool) -> None:
    figures = Figures()
    assert published(tmp_path, figures, feeds=["people"], again=again) == []
    assert figures.runs == 1 + again
    assert figures.live_files > 50


def test_nothing_gets_out_of_a_run_that_stops_at_bad_files(tmp_path: Path) -> None:
    assert refused_files(tmp_path, Figures()) == []


def test_nothing_gets_out_of_a_run_that_is_killed(tmp_path: Path) -> None:
    figures, moment = Figures(), "transform.attempt-1.json"
    assert killed(tmp_path, figures, moment=moment, sign=signal.SIGKILL, feeds=["people"]) == []


def test_nothing_gets_out_of_a_run_that_the_guard_stops(tmp_path: Path) -> None:
    assert stopped_by_the_guard(tmp_path, Figures()) == []
