"""OpenPGP messages and keys, read by the very function that the decrypting process runs, without the process."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Final

import pysequoia
from pysequoia import ArmorKind, Cert, armor

from jobs.runtime import openpgp_process
from tests.fixtures.key_files import openpgp_key
from tests.fuzz.target import CANARY, Target, check_refusal, require
from transforms.streams.bad_file import BadFile
from transforms.streams.sniff import SNIFF_SIZE, sniff

_CLEAR: Final = f"id,email\n1,{CANARY}\n".encode() * 5
_PASSPHRASE: Final = "correct horse"
_STATUSES: Final = (openpgp_process.EXIT_NO_KEY, openpgp_process.EXIT_KEY_LOCKED, openpgp_process.EXIT_DAMAGED)


@functools.cache
def _key() -> tuple[bytes, Cert]:
    secret, certificate = openpgp_key("Landing <landing@example.com>", _PASSPHRASE)
    return secret, Cert.from_bytes(certificate)


@functools.cache
def _message() -> bytes:
    return pysequoia.encrypt(_CLEAR, recipients=[_key()[1]], armor=False)


@contextlib.contextmanager
def _as_standard_streams(message: bytes) -> Iterator[int]:
    """Make the message standard input and a file in memory standard output; yield the number of that file."""
    kept = [os.dup(number) for number in (0, 1)]
    source, target = os.memfd_create("message"), os.memfd_create("clear")
    try:
        os.write(source, message)
        os.lseek(source, 0, os.SEEK_SET)
        os.dup2(source, 0)
        os.dup2(target, 1)
        yield target
    finally:
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
        for number in (*kept, source, target):
            os.close(number)


def decrypt(message: bytes, secret_key: bytes) -> tuple[int, bytes]:
    """Return the status and the clear bytes of the decrypting function."""
    with _as_standard_streams(message) as target:
        status = openpgp_process._decrypt(secret_key, _PASSPHRASE.encode())
        clear = os.pread(target, os.fstat(target).st_size, 0)
    return status, clear


def run_message(data: bytes) -> None:
    """What is told to be OpenPGP is the message, or refused."""
    try:
        if sniff(data[:SNIFF_SIZE]) not in ("openpgp", "openpgp-armored"):
            return
    except BadFile as problem:
        check_refusal(problem)
        return
    status, clear = decrypt(data, _key()[0])
    require(f"{status} is a status that the job knows", holds=status in (0, *_STATUSES))
    if status == 0:
        require("what is accepted is the message", holds=clear == _CLEAR)


def run_key(data: bytes) -> None:
    """A damaged secret key is a locked key, or none for this message."""
    status, _ = decrypt(_message(), data)
    require(f"{status} is a status that the job knows", holds=status in (0, *_STATUSES))


def run_sniff(data: bytes) -> None:
    """Whatever a file begins with, it is told or refused, and so are all of its beginnings the size of a chunk."""
    for head in (data, data[:512], data[:8]):
        try:
            sniff(head)
        except BadFile as problem:
            check_refusal(problem)


def _seeds() -> Sequence[bytes]:
    return [_message(), armor(_message(), ArmorKind.Message).encode()]


TARGETS: Final = (
    Target("openpgp", run_message, _seeds),
    Target("openpgp-key", run_key, lambda: [_key()[0], armor(_key()[0], ArmorKind.SecretKey).encode()]),
    Target("sniff", run_sniff, _seeds),
)
