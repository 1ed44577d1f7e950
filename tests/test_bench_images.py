# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pinned images, from a server over HTTPS: the right one, another one, one that is cut on the way, and no network."""

import datetime
import hashlib
import http.server
import ipaddress
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from boards import schema
from boards.bench import BenchTable, FlashImage
from provisioning.bench import images
from provisioning.bench.errors import NoImage
from provisioning.cli import main
from tests.test_bench_flash import drive, loader, uf2

IMAGE = uf2(400)
NAME = "firmware.uf2"


class Releases(http.server.ThreadingHTTPServer):
    """Serves one file, by parts too, and can be told to hang up in the middle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = IMAGE
        self.cut_at: list[int] = []
        """After so many bytes of the body; one for each request."""
        self.by_parts = True
        self.asked: list[str | None] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Releases

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        data, start = self.server.data, 0
        if wanted and self.server.by_parts:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start > len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if self.server.cut_at:
            body = body[: self.server.cut_at.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "releases")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "server.key").write_bytes(key.private_bytes(*form))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    monkeypatch.setenv("LYKTA_IMAGES", str(tmp_path / "cache"))
    server = Releases()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def pin(releases: Releases, data: bytes = IMAGE) -> FlashImage:
    url = f"https://127.0.0.1:{releases.server_port}/{NAME}"
    return FlashImage(file=NAME, sha256=hashlib.sha256(data).hexdigest(), url=url)


def found(pinned: FlashImage) -> Path:
    bench = schema.load_board("pico_w_waveshare").bench
    assert bench is not None
    table: BenchTable = bench.model_copy(update={"image": pinned})
    return images.find("pico_w_waveshare", table, None, None).path


def test_a_pinned_image_is_downloaded_once_and_flashed_from_the_cache(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole path: the pin in a board's file, the server, the cache, the drive of a board that waits."""
    folder = tmp_path / "boards"
    folder.mkdir()
    for path in Path(schema.FOLDER).glob("*.toml"):
        shutil.copy(path, folder)
    pinned = pin(releases)
    table = f'\n[bench.image]\nfile = "{NAME}"\nsha256 = "{pinned.sha256}"\nurl = "{pinned.url}"\n'
    board = folder / "pico_w_waveshare.toml"
    board.write_text(board.read_text().partition("[bench.image]")[0] + table)
    monkeypatch.setattr(schema, "FOLDER", folder)
    for number in range(2):
        waits = drive(tmp_path / f"RPI-RP2-{number}")
        taken = loader(Path(waits.path), NAME, len(IMAGE))
        assert main(["flash", waits.path]) == 0, capsys.readouterr()
        taken.join(10)
    assert releases.asked == [None], "the second came from the cache"
    assert (tmp_path / "cache" / NAME).read_bytes() == IMAGE


def test_a_download_that_is_cut_goes_on_where_it_stopped(releases: Releases, tmp_path: Path) -> None:
    releases.cut_at = [70_000, 50_000]
    assert found(pin(releases)).read_bytes() == IMAGE
    assert releases.asked == [None, "bytes=70000-", "bytes=120000-"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [NAME]


def test_a_server_that_knows_no_parts_gives_all_of_it_again(releases: Releases) -> None:
    releases.cut_at, releases.by_parts = [70_000], False
    assert found(pin(releases)).read_bytes() == IMAGE
    assert releases.asked == [None, "bytes=70000-"]


def test_what_an_earlier_run_left_is_gone_on_with_and_thrown_away_when_it_is_another_release(
    releases: Releases, tmp_path: Path
) -> None:
    part = tmp_path / "cache" / f".{NAME}.part"
    part.parent.mkdir()
    part.write_bytes(IMAGE[:1000])
    assert found(pin(releases)).read_bytes() == IMAGE
    (tmp_path / "cache" / NAME).unlink()
    part.write_bytes(b"another release" * 10)
    assert found(pin(releases)).read_bytes() == IMAGE
    (tmp_path / "cache" / NAME).unlink()
    part.write_bytes(bytes(len(IMAGE) + 1))
    assert found(pin(releases)).read_bytes() == IMAGE
    assert releases.asked == ["bytes=1000-", "bytes=150-", None, f"bytes={len(IMAGE) + 1}-", None]


def test_another_image_than_the_pinned_one_is_not_kept(releases: Releases, tmp_path: Path) -> None:
    with pytest.raises(NoImage, match="was downloaded is not") as refused:
        found(pin(releases, b"what was pinned"))
    assert hashlib.sha256(IMAGE).hexdigest() in str(refused.value.value)
    assert not (tmp_path / "cache" / NAME).exists()


def test_without_a_network_it_says_which_file_to_bring_and_where_to(releases: Releases, tmp_path: Path) -> None:
    pinned = pin(releases)
    releases.shutdown()
    releases.server_close()
    with pytest.raises(NoImage, match="not on this computer") as offline:
        found(pinned)
    assert str(pinned.url) in offline.value.next_step
    assert str(tmp_path / "cache" / NAME) in offline.value.next_step
    assert pinned.sha256 in offline.value.reason


def test_a_server_that_nobody_vouches_for_is_not_asked(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NoImage, match="not on this computer"):
        found(pin(releases))
    assert releases.asked == []


@pytest.mark.parametrize("name", ["heltec_v3", "lilygo_t3s3", "nucleo_wl55", "pico_w_waveshare"])
def test_offline_each_board_names_the_file_that_a_person_has_to_bring(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody is there
    monkeypatch.setenv("LYKTA_IMAGES", str(tmp_path))
    loaded = schema.load_board(name)
    assert main(["flash", "/dev/null", "--board", name]) == 1
    said = capsys.readouterr().err
    assert loaded.facts is not None and loaded.bench is not None
    pinned = loaded.bench.image
    if pinned is None:
        assert f"https://micropython.org/download/{loaded.facts.micropython_board}/" in said
        assert "--image FILE --sha256 HEX" in said
    else:
        assert pinned.file.startswith(loaded.facts.micropython_board + "-2")
        assert f"bring the file from {pinned.url} and put it at {tmp_path / pinned.file}" in said
        assert pinned.sha256 in said
