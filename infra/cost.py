"""What a nightly load costs, by throughput that was measured, beside the same load by DataBrew.

    python -m infra.cost --rows 10000000

Every figure comes from infra/cost_figures.toml, with its source. Where nothing was measured (DataBrew's throughput)
nothing is assumed: what is told is how fast it would have to be.
"""

from __future__ import annotations

import sys
import textwrap
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from infra.command import run_command
from infra.release import release_names
from jobs.runtime.args import option
from jobs.runtime.errors import ArgumentError
from jobs.runtime.progress import tell

_HOUR: Final = 3600
_MILLION: Final = 1_000_000
_NIGHTS: Final = 30
_USUAL: Final = (1 * _MILLION, 10 * _MILLION, 100 * _MILLION)

Figures = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    rows: str | None = option("rows of a load; several with commas (default: 1, 10 and 100 million)", default=None)
    glue: str | None = option("the Glue release (default: each)", choices=release_names(), default=None)
    workers: int = option("workers of type G.1X of each job, one of them Spark's driver", default=2)
    wait_seconds: int = option(
        "how long the first job waits for the delivery to be whole, which is paid too", default=0
    )


@dataclass(frozen=True)
class Rates:
    """What the two measured runs say.

    Attributes:
        start: seconds until a job's Spark works.
        cold: seconds a load loses, whatever its size, until Java has compiled what runs.
        warm_row: core-seconds a row, from the difference of the two runs.
        cold_row: core-seconds a row, as in the small run with all of its cold start in it.
        shares: how a load's seconds divide among its jobs.
    """

    start: float
    cold: float
    warm_row: float
    cold_row: float
    shares: dict[str, float]


@dataclass(frozen=True)
class JobRun:
    """One job run of a load: the seconds that it takes, and those that are paid."""

    job: str
    seconds: float
    paid_seconds: float


@dataclass(frozen=True)
class Cost:
    """What one load costs with our jobs."""

    runs: tuple[JobRun, ...]
    dpu_hours: float
    compute: float
    requests: float

    @property
    def total(self) -> float:
        """Dollars of the load."""
        return self.compute + self.requests

    @property
    def seconds(self) -> float:
        """From the first job's start to the last one's end."""
        return sum(run.seconds for run in self.runs)


@dataclass(frozen=True)
class BreakEven:
    """What DataBrew would have to do to be as cheap.

    Attributes:
        fixed: dollars beside the DataBrew job itself.
        floor: dollars of the load if the job took no longer than DataBrew's shortest bill.
        rows_per_second: of all nodes; None where no speed is enough.
        per_vcpu: the same for one vCPU.
    """

    fixed: float
    floor: float
    rows_per_second: float | None
    per_vcpu: float | None


def read_figures() -> Figures:
    """Return measured figures and prices, by section."""
    return tomllib.loads(resources.files("infra").joinpath("cost_figures.toml").read_text(encoding="utf-8"))


def rates(figures: Figures) -> Rates:
    """Return what the measured runs say of a start, of the cold start, and of a row."""
    measured = figures["measured"]
    steps = {job: measured[f"{job}_seconds"] for job in ("decrypt", "transform", "archive")}
    worked = sum(steps.values())
    start = measured["small_seconds"] - worked
    second_row = (measured["large_seconds"] - measured["small_seconds"]) / (
        measured["large_rows"] - measured["small_rows"]
    )
    return Rates(
        start=start,
        cold=measured["small_seconds"] - start - measured["small_rows"] * second_row,
        warm_row=second_row * measured["cores"],
        cold_row=worked * measured["cores"] / measured["small_rows"],
        shares={job: seconds / worked for job, seconds in steps.items()},
    )


def glue_cost(rows: int, glue: str, figures: Figures, *, row: float, workers: int = 2, wait_seconds: int = 0) -> Cost:
    """Return what one load costs, ``row`` being core-seconds a row.

    Every worker but the driver's works on rows; each job run pays for all of them, a minute at least.
    """
    known, prices = rates(figures), figures["glue"]
    work = known.cold + rows * row / (prices["vcpus_per_dpu"] * (workers - 1))
    runs = []
    for job, share in known.shares.items():
        seconds = known.start + share * work + (wait_seconds if job == "decrypt" else 0)
        runs.append(JobRun(job, seconds, max(seconds, prices["minimum_seconds"])))
    dpu_hours = sum(run.paid_seconds for run in runs) * workers / _HOUR
    return Cost(tuple(runs), dpu_hours, dpu_hours * prices["dpu_hour"][glue], request_cost(rows, figures))


def request_cost(rows: int, figures: Figures) -> float:
    """Return roughly what the requests of a load cost: raw, curated and archive are each written and read by parts."""
    prices = figures["requests"]
    parts = 3 * rows * figures["measured"]["clear_bytes_per_row"] / prices["part_bytes"]
    puts, gets = prices["fixed_puts"] + parts, prices["fixed_gets"] + parts
    return float(puts * prices["put"] + gets * prices["get"] + prices["fixed_kms"] * prices["kms"])


def lambda_cost(rows: int, figures: Figures) -> float:
    """Return what it costs to decrypt a load in a function that holds whole files in memory."""
    prices = figures["databrew"]
    seconds = rows * figures["measured"]["clear_bytes_per_row"] / prices["lambda_bytes_per_second"]
    return float(seconds * prices["lambda_gb"] * prices["lambda_gb_second"])


def break_even(rows: int, ours: float, figures: Figures, *, crawler: bool = True) -> BreakEven:
    """Return how fast DataBrew would have to be for a load to cost ``ours`` dollars, with or without its crawler."""
    prices = figures["databrew"]
    crawl = prices["crawler_seconds"] * prices["crawler_dpus"] * prices["crawler_dpu_hour"] / _HOUR if crawler else 0
    fixed = crawl + lambda_cost(rows, figures)
    second = prices["nodes"] * prices["node_hour"] / _HOUR
    floor = fixed + prices["minimum_seconds"] * second
    if floor > ours:
        return BreakEven(fixed, floor, None, None)
    rows_per_second = rows / ((ours - fixed) / second)
    return BreakEven(fixed, floor, rows_per_second, rows_per_second / (prices["nodes"] * prices["vcpus_per_node"]))


def rows_of(text: str | None) -> tuple[int, ...]:
    """Return the sizes that were asked for. Raises ArgumentError for what is no number of rows."""
    if text is None:
        return _USUAL
    words = [word.replace("_", "") for word in text.replace(",", " ").split()]
    if not words or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise ArgumentError(f"--rows: {text!r} is no number of rows: 10000000, or several with commas")
    return tuple(int(word) for word in words)


def report(sizes: tuple[int, ...], releases: tuple[str, ...], figures: Figures, workers: int, wait_seconds: int) -> str:
    """Return the costs of loads of ``sizes`` rows as a text, with all that they rest on."""
    known = rates(figures)
    lines = ["A load, with our jobs (from: the rate of large loads; to: the rate of a small, cold one)", ""]
    lines.append(f"  {'rows':>13}  {'Glue':<5} {'minutes':>13} {'DPU-hours':>15} {'dollars':>17} {'a month':>17}")
    ours = {}
    for rows in sizes:
        for release in releases:
            low, high = (
                glue_cost(rows, release, figures, row=row, workers=workers, wait_seconds=wait_seconds)
                for row in (known.warm_row, known.cold_row)
            )
            ours[rows, release] = high
            lines.append(
                f"  {rows:>13,}  {release:<5} {low.seconds / 60:>5.1f} - {high.seconds / 60:>5.1f} "
                f"{low.dpu_hours:>6.3f} - {high.dpu_hours:>6.3f} {low.total:>7.3f} - {high.total:>7.3f} "
                f"{low.total * _NIGHTS:>7.2f} - {high.total * _NIGHTS:>7.2f}"
            )
    lines += ["", "The same load with DataBrew: how fast it would have to be to cost what ours costs at most", ""]
    for (rows, release), cost in ours.items():
        lines.append(f"  {rows:>13,}  against Glue {release}, ${cost.total:.3f}:")
        lines += [f"      {line}" for line in _against(rows, cost.total, figures, known)]
    return "\n".join([*lines, "", *_assumptions(figures, known, workers, wait_seconds)])


def _against(rows: int, ours: float, figures: Figures, known: Rates) -> list[str]:
    lines = []
    for crawler in (True, False):
        found, what = break_even(rows, ours, figures, crawler=crawler), "with" if crawler else "without"
        if found.rows_per_second is None:
            lines.append(
                f"{what} a crawler: at no speed; it costs ${found.floor:.3f} at least, ${found.fixed:.3f} of it beside "
                "the DataBrew job"
            )
        else:
            lines.append(
                f"{what} a crawler: {found.rows_per_second:,.0f} rows/s, {found.per_vcpu:,.0f} a vCPU "
                f"(ours, measured: {1 / known.cold_row:,.0f} cold to {1 / known.warm_row:,.0f} warm)"
            )
    prices = figures["databrew"]
    size = rows * figures["measured"]["clear_bytes_per_row"]
    if size > prices["lambda_file_bytes"]:
        pieces = f"{prices['lambda_file_bytes'] / _MILLION:,.0f} MB"
        lines.append(f"its function can decrypt that only if the source sends it in files of {pieces} at most")
    return lines


_ASSUMPTIONS: Final = """\
measured on {measured[cores]} slow, shared cores: {measured[small_rows]:,} rows in {measured[small_seconds]} s,
{measured[large_rows]:,} in {measured[large_seconds]} s (the latter before phones were settled by libphonenumber);
figures vary by a third between runs

of that, {known.start:.1f} s until Spark works (paid by each job) and {known.cold:.1f} s until it is warm (by each
load); then {warm:.1f} core-seconds a million rows, or {cold:.1f} as in the small run

a vCPU of Glue is as fast as one of these cores; {workers} workers of {glue[vcpus_per_dpu]} vCPU and 16 GB, one of them
the driver's; the delivery comes in several files, for one file is decrypted by one core

three job runs a load, {glue[minimum_seconds]} s paid at least for each; waiting for the delivery: {wait_seconds} s,
which --wait-seconds changes

a DPU-hour: {dpu_hours}, us-east-1; {nights} loads a month

requests to S3 and KMS are in it, roughly; ${requests[month_key]:.2f} a month for each key and
${requests[month_secret]:.2f} for each secret, storage and logs are not: they are the same either way

DataBrew: {brew[nodes]} nodes at ${brew[node_hour]} an hour, a minute at least; a crawler of {brew[crawler_dpus]} DPU,
{brew[crawler_seconds]} s at least; a Lambda function of {brew[lambda_gb]} GB that decrypts. Its throughput was not
measured; interactive sessions ($1 each) are left out"""


def _point(text: str) -> str:
    return textwrap.fill(text, 116, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)


def _assumptions(figures: Figures, known: Rates, workers: int, wait_seconds: int) -> list[str]:
    text = _ASSUMPTIONS.format(
        **{name: figures[name] for name in ("measured", "glue", "requests")},
        brew=figures["databrew"],
        known=known,
        warm=known.warm_row * _MILLION,
        cold=known.cold_row * _MILLION,
        workers=workers,
        wait_seconds=wait_seconds,
        dpu_hours=", ".join(f"${price} on Glue {name}" for name, price in figures["glue"]["dpu_hour"].items()),
        nights=_NIGHTS,
    )
    first = "What this rests on (infra/cost_figures.toml has the sources; no figure comes from a run on AWS):"
    points = [_point(each) for each in text.split("\n\n")]
    return [first, "", *points]


def main(args: Args) -> None:
    """Print the costs."""
    if args.workers < 2:  # noqa: PLR2004  the driver's, and one that works
        raise ArgumentError("--workers: at least 2; one of them is Spark's driver")
    if args.wait_seconds < 0:
        raise ArgumentError("--wait-seconds: cannot be less than 0")
    releases = (args.glue,) if args.glue else release_names()
    tell(report(rows_of(args.rows), releases, read_figures(), args.workers, args.wait_seconds))


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.cost"))
