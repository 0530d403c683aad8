"""The process that decrypts one OpenPGP message: standard input to standard output, secrets from a pipe of their own.

Nothing secret is in its arguments or environment, and it never prints: its exit status is all that it says.
"""

from __future__ import annotations

import os
import sys
from typing import Final

EXIT_NO_KEY: Final = 3
EXIT_KEY_LOCKED: Final = 4
EXIT_DAMAGED: Final = 5


def main() -> None:
    """Decrypt; the one argument is the number of the file descriptor that the secrets come from."""
    with os.fdopen(int(sys.argv[1]), "rb") as secrets:
        passphrase = secrets.read(int.from_bytes(secrets.read(4), "big"))
        secret_key = secrets.read()
    os._exit(_decrypt(secret_key, passphrase))


def _decrypt(secret_key: bytes, passphrase: bytes) -> int:
    import pysequoia  # noqa: PLC0415  only this process needs it

    try:
        key = pysequoia.Tsk.from_bytes(secret_key)
        decryptor = key.decryptor(passphrase.decode()) if passphrase else key.decryptor()
    except Exception:  # noqa: BLE001  the library raises whatever its parser met; the message is not shown
        return EXIT_KEY_LOCKED
    try:
        pysequoia.decrypt_file("/dev/stdin", "/dev/stdout", decryptor)
    except Exception as error:  # noqa: BLE001  see above
        return EXIT_NO_KEY if "No key to decrypt" in str(error) else EXIT_DAMAGED
    return 0
