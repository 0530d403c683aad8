"""OpenPGP files, decrypted by Sequoia (pysequoia) without ever releasing what is not authentic.

Why Sequoia: it is a maintained implementation that installs from PyPI on Glue, where GnuPG is not. It streams, but as
every streaming OpenPGP program it hands out clear text before it has seen the integrity code at the end. So its output
goes, encrypted under a key that exists in this process alone, to a scratch file without a name; only when Sequoia has
said that the message is whole is that file read back. It runs in a process of its own, for it holds Python's
interpreter lock while it works.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from jobs.runtime.openpgp_process import EXIT_DAMAGED, EXIT_KEY_LOCKED, EXIT_NO_KEY
from jobs.runtime.scratch import SealedScratch
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE, OpenChunks

_PROGRAM: Final = "from jobs.runtime.openpgp_process import main; main()"
_PIPE_SIZE: Final = 1 << 20  # the largest that Linux allows everybody


@dataclass(frozen=True)
class PgpKey:
    """A secret key as exported (binary or armoured) and its passphrase, empty where it has none."""

    secret_key: bytes = field(repr=False)
    passphrase: bytes = field(repr=False)


def decrypt_openpgp(open_chunks: OpenChunks, key: PgpKey) -> Iterator[bytes]:
    """Yield the clear bytes of a message, after the whole of it has proved authentic.

    Raises BadFile: ``wrong_key`` where the message is for another key or the passphrase is wrong, ``not_authentic``
    where it was cut or changed.
    """
    scratch = SealedScratch()
    try:
        _decrypt_into(scratch, open_chunks, key)
    except BaseException:
        scratch.close()
        raise
    return scratch.read_back()


def decrypt_with_any(open_chunks: OpenChunks, keys: Iterable[PgpKey]) -> Iterator[bytes]:
    """Yield the clear bytes of a message for one of ``keys``, which are tried in turn, as ``decrypt_openpgp`` does.

    After a change of keys there are messages for the old one and the new. A key is taken when those before have failed.
    """
    refused: list[BadFile] = []
    for key in keys:
        try:
            return decrypt_openpgp(open_chunks, key)
        except BadFile as bad:
            if bad.reason != "wrong_key":
                raise
            refused.append(bad)
    if len(refused) == 1:
        raise refused[0]
    details = "; ".join(dict.fromkeys(bad.detail for bad in refused))
    raise BadFile("wrong_key", f"{len(refused)} OpenPGP keys were tried: {details}")


def _decrypt_into(scratch: SealedScratch, open_chunks: OpenChunks, key: PgpKey) -> None:
    secret_reader, secret_writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(secret_reader)],
        pipesize=_PIPE_SIZE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its messages are not ours to show
        pass_fds=(secret_reader,),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    os.close(secret_reader)
    feeder = _Feeder(process, open_chunks, secret_writer, key)
    try:
        feeder.start()
        if process.stdout is None:
            raise RuntimeError("the process has no output")
        buffer = bytearray(CHUNK_SIZE)
        view = memoryview(buffer)
        while taken := os.readv(process.stdout.fileno(), [buffer]):
            scratch.write(view[:taken])
        feeder.join()
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        feeder.join()
        with contextlib.suppress(BrokenPipeError):  # nobody reads on where it ended early
            if process.stdin is not None:
                process.stdin.close()
        if process.stdout is not None:
            process.stdout.close()
    if feeder.error is not None:
        raise feeder.error
    if status == EXIT_NO_KEY:
        raise BadFile("wrong_key", "the message is encrypted for another OpenPGP key than the one given")
    if status == EXIT_KEY_LOCKED:
        raise BadFile(
            "wrong_key", "the OpenPGP key given cannot be opened: it is no secret key, or its passphrase is wrong"
        )
    if status == EXIT_DAMAGED:
        raise BadFile("not_authentic", "the OpenPGP message was cut or changed")
    if status:
        raise ChildProcessError(f"the OpenPGP process ended with status {status}")


class _Feeder(threading.Thread):
    """Gives the process its secrets and the message, while the main thread takes the clear text."""

    def __init__(
        self, process: subprocess.Popen[bytes], open_chunks: OpenChunks, secret_writer: int, key: PgpKey
    ) -> None:
        super().__init__(daemon=True)
        self._process, self._open_chunks, self._secret_writer, self._key = process, open_chunks, secret_writer, key
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with contextlib.suppress(BrokenPipeError):  # it has seen enough; its status says why
                with os.fdopen(self._secret_writer, "wb") as secrets:
                    secrets.write(len(self._key.passphrase).to_bytes(4, "big"))
                    secrets.write(self._key.passphrase + self._key.secret_key)
                if self._process.stdin is not None:
                    with self._process.stdin as target:
                        for chunk in self._open_chunks(0):
                            target.write(chunk)
        except BaseException as error:  # noqa: BLE001  raised again by the main thread
            self.error = error
            self._process.kill()
