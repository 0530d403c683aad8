"""Decrypt one file in this process and print how many clear bytes it has and how long that took."""

from __future__ import annotations

import argparse
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.benchmarks.adapters import open_chunks_of, openpgp_clear_size
from tests.fixtures.key_files import key_files
from transforms.streams.fernet_envelope import decrypt_envelope


def _unwrapper(pem: Path) -> Callable[[bytes], bytes]:
    private = serialization.load_pem_private_key(pem.read_bytes(), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("an envelope needs an RSA private key")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return lambda wrapped: private.decrypt(wrapped, oaep)


def streamed(source: Path, keys: Path) -> int:
    """Decrypt an envelope with our streaming reader."""
    return sum(map(len, decrypt_envelope(open_chunks_of(source), _unwrapper(key_files(keys).rsa_private))))


def one_shot(source: Path, keys: Path) -> int:
    """Decrypt an envelope as cryptography's documentation shows it: the whole token at once."""
    content = source.read_bytes()
    length = int.from_bytes(content[:4], "big")
    key = _unwrapper(key_files(keys).rsa_private)(content[4 : 4 + length])
    return len(Fernet(base64.urlsafe_b64encode(key)).decrypt(content[4 + length :]))


def openpgp(source: Path, keys: Path) -> int:
    """Decrypt an OpenPGP file with our reader."""
    return openpgp_clear_size(source, key_files(keys))


WAYS = {"streamed": streamed, "one-shot": one_shot, "openpgp": openpgp}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("source", type=Path)
    parser.add_argument("keys", type=Path)
    args = parser.parse_args()
    started = time.perf_counter()
    size = WAYS[args.way](args.source, args.keys)
    print(json.dumps({"bytes": size, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
