from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.runtime.session import open_session

_SUBMIT = (
    "--master local[2] --driver-memory 2g --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 "
    "--conf spark.sql.shuffle.partitions=2 pyspark-shell"
)


def pytest_configure(config: pytest.Config) -> None:
    # PySpark leaves the socket that a result came through to the garbage collector.
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")
    # PySpark 3.5 compares versions with the standard library's old module.
    config.addinivalue_line("filterwarnings", "ignore:distutils Version classes:DeprecationWarning")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One small session for the whole suite: that of the jobs, with few partitions."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = _SUBMIT
    session = open_session("tests")
    yield session
    session.stop()


@pytest.fixture
def project() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]
