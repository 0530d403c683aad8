"""The peers must do the work that they claim to do, or beating them means nothing."""

from __future__ import annotations

import hmac
import sys
from pathlib import Path
from unittest import mock

import duckdb
import pytest

from tests.benchmarks import peer_duckdb, peer_pandas
from tests.benchmarks.peer_rules import CLEAR, HASHED
from tests.fixtures.aep_delivery import make_keys, write_profiles

VALUES = ["", "a", "x" * 63, "x" * 64, "x" * 65, "x" * 200, "Zoë 山田 😀", "quote ' and \\"]


@pytest.mark.parametrize("size", [1, 32, 64, 65, 200])
def test_hmac_composed_in_duckdb_is_hmac(size: int) -> None:
    key = bytes(range(1, size + 1))
    connection = duckdb.connect()
    connection.execute(peer_duckdb.hmac_macro(key))
    for value in VALUES:
        row = connection.execute("select hmac(?), hmac(null)", [value]).fetchone()
        assert row == (hmac.digest(key, value.encode(), "sha256").hex(), None)


def test_peers_agree_with_each_other_and_with_what_was_drawn(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", seed=1)
    source = tmp_path / "clear.csv"
    counts = write_profiles(source, 20_000, seed=9)
    for name, peer in {"one": peer_duckdb, "two": peer_pandas}.items():
        arguments = ["--source", source, "--target", tmp_path / name, "--hash-key", keys.hash_key]
        with mock.patch.object(sys, "argv", ["peer", *map(str, arguments)]):
            peer.main()
        pattern = f"{tmp_path / name}/**/*.parquet"
        duckdb.execute(
            f"create or replace view {name} as select * from read_parquet('{pattern}', hive_partitioning = true)"  # noqa: S608
        )
    by_country = duckdb.execute("select country, count(*) from one group by country").fetchall()
    assert dict(by_country) == counts.by_country
    # All but the first name: the two have different lower cases of İ.
    for column in {*HASHED, *CLEAR} - {"first_name"}:
        differing = f"from one full join two using (email) where one.{column} is distinct from two.{column}"
        assert duckdb.execute(f"select count(*) {differing}").fetchone() == (0,), column
