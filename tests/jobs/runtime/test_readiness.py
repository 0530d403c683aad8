"""When a delivery is whole. Times are the store's: none of these tests looks at a clock or waits."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jobs.runtime.errors import DeliveryIncompleteError
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.readiness import RULES, Listing, Verdict, classify, wait_until_whole
from schemas.delivery import Delivery
from schemas.vocabulary import READY_RULES

MANIFEST = "manifest-1.json"


def delivery(ready: str, ignore: tuple[str, ...] = (), quiet: int = 60, max_wait: int = 600) -> Delivery:
    return Delivery(ready, quiet, max_wait, "manifest-*.json", "*.DONE", ignore, ("plain",), None)


def objects(spec: dict[str, float]) -> list[ObjectInfo]:
    return [ObjectInfo(f"landing/acme/{name}", 10, "", f'"{name}"', modified) for name, modified in spec.items()]


def adobe(*names: str, size: int = 10) -> bytes:
    return json.dumps({"flowRunId": "f", "exportResults": [{"name": name, "size": size} for name in names]}).encode()


def judge(rule: str, spec: dict[str, float], now: float = 1000.0, manifest: bytes = b"") -> Verdict:
    wanted = delivery(rule)
    return RULES[rule](classify(objects(spec), wanted, now, lambda _: manifest), wanted)


def names(items: tuple[ObjectInfo, ...]) -> list[str]:
    return [item.key.removeprefix("landing/acme/") for item in items]


def test_every_rule_of_the_vocabulary_exists() -> None:
    assert set(RULES) == set(READY_RULES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.csv", "data"),
        ("manifest-1.json", "manifest"),
        ("sub/manifest-1.json", "manifest"),
        ("manifest-folder/x.json", "data"),  # a pattern is about names, not folders
        ("Manifest-1.json", "data"),  # and says what it says
        ("x.DONE", "marker"),
        ("x.done", "data"),
        ("_tmp-x.csv", "ignored"),
        ("sub/_tmp-x.csv", "ignored"),
        ("_tmp-folder/x.csv", "data"),
        ("_tmp-manifest-1.json", "ignored"),
        ("manifest-_tmp-1.json", "manifest"),
        ("logs/x.csv", "ignored"),  # a pattern with a slash is about the path below landing
        ("logs/manifest-1.json", "manifest"),  # and what is about the delivery is never ignored
        ("logs/x.DONE", "marker"),
        ("sub/logs/x.csv", "data"),
        ("a/b/skip.csv", "ignored"),
    ],
)
def test_objects_are_sorted_by_their_names(name: str, kind: str) -> None:
    wanted = delivery("quiet_period", ignore=("_tmp-*", "logs/*", "*/b/skip.csv"))
    listing = classify(objects({name: 0}), wanted, 0, lambda _: b"", "landing/acme/")
    found = {
        "data": listing.data,
        "manifest": listing.vendor_manifests,
        "marker": listing.done_markers,
    }
    assert [each for each, items in found.items() if items] == ([] if kind == "ignored" else [kind])


@pytest.mark.parametrize(
    ("spec", "waiting"),
    [
        ({"a": 940.0}, ""),
        ({"a": 941.0}, "1 more seconds without a new object"),
        ({"a": 100.0, "b": 1000.0}, "60 more seconds without a new object"),
        ({"a": 100.0, "x.DONE": 990.0}, "50 more seconds without a new object"),
        ({"x.DONE": 999.0}, ""),  # no data: nothing to wait for
        ({}, ""),
        ({"a": 1030.0}, "90 more seconds without a new object"),  # written by a clock that is ahead
    ],
)
def test_quiet_period(spec: dict[str, float], waiting: str) -> None:
    verdict = judge("quiet_period", spec)
    assert verdict.waiting_for == waiting
    assert names(verdict.data) == [name for name in spec if not name.endswith(".DONE")]


@pytest.mark.parametrize(
    ("spec", "data", "waiting"),
    [
        ({"a": 1, "b": 2, "x.DONE": 3}, ["a", "b"], ""),
        ({"a": 3, "x.DONE": 3}, ["a"], ""),
        ({"a": 1, "late": 4, "x.DONE": 3}, ["a"], ""),  # the late one is the next delivery's
        ({"late": 4, "x.DONE": 3}, [], ""),
        ({"a": 1}, [], "a marker *.DONE"),
        ({"sub/a": 1, "x.DONE": 3}, ["sub/a"], ""),
        ({"other/a": 1, "sub/b": 1, "sub/x.DONE": 3}, ["sub/b"], ""),
        ({"a": 2, "one.DONE": 1, "two.DONE": 3}, ["a"], ""),
        ({"x.DONE": 3}, [], ""),
        ({}, [], ""),
    ],
)
def test_done_marker(spec: dict[str, float], data: list[str], waiting: str) -> None:
    verdict = judge("done_marker", spec)
    assert (names(verdict.data), verdict.waiting_for) == (data, waiting)


def test_a_marker_that_covers_nothing_yet_stays() -> None:
    assert names(judge("done_marker", {"late": 4, "x.DONE": 3}).markers) == []
    assert names(judge("done_marker", {"a": 2, "x.DONE": 3}).markers) == ["x.DONE"]


@pytest.mark.parametrize(
    ("present", "manifest", "data", "waiting"),
    [
        (["a.csv", "b.csv"], adobe("a.csv", "b.csv"), ["a.csv", "b.csv"], ""),
        (["a.csv", "late.csv"], adobe("a.csv"), ["a.csv"], ""),
        (["a.csv"], adobe("a.csv", "b.csv", "c.csv"), ["a.csv"], "b.csv, c.csv"),
        (["a.csv.gpg", "b.csv.gz.gpg"], adobe("a.csv", "b.csv"), ["a.csv.gpg", "b.csv.gz.gpg"], ""),
        (["a.csv.gpg", "a.csv"], adobe("a.csv"), ["a.csv"], ""),  # the exact name first
        (["a.csvx"], adobe("a.csv"), [], "a.csv"),
        ([], adobe("a.csv"), [], "a.csv"),
        (["a.csv"], adobe(), [], ""),
    ],
)
def test_vendor_manifest(present: list[str], manifest: bytes, data: list[str], waiting: str) -> None:
    verdict = judge("vendor_manifest", dict.fromkeys([*present, MANIFEST], 1.0), manifest=manifest)
    assert (names(verdict.data), verdict.waiting_for) == (data, waiting)
    assert names(verdict.markers) == [MANIFEST]
    assert verdict.notes == ()


def test_without_a_manifest_data_wait_for_one() -> None:
    assert judge("vendor_manifest", {"a.csv": 1.0}).waiting_for == "a manifest manifest-*.json"
    assert judge("vendor_manifest", {}).waiting_for == ""


def test_a_manifest_speaks_of_its_own_folder() -> None:
    spec = {"one/a.csv": 1.0, "a.csv": 1.0, f"one/{MANIFEST}": 1.0}
    assert names(judge("vendor_manifest", spec, manifest=adobe("a.csv")).data) == ["one/a.csv"]


def test_another_size_is_noted_and_not_waited_for() -> None:
    verdict = judge("vendor_manifest", {"a.csv": 1.0, MANIFEST: 1.0}, manifest=adobe("a.csv", size=9))
    assert verdict.waiting_for == ""
    assert verdict.notes == ("landing/acme/a.csv: the manifest says 9 bytes, the object has 10",)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"[]",
        b"{}",
        b'{"exportResults": 5}',
        b'{"exportResults": null}',
        b'{"exportResults": ["a.csv"]}',
        b'{"exportResults": [{"size": 3}]}',
    ],
)
def test_a_damaged_manifest_is_waited_for(manifest: bytes) -> None:
    verdict = judge("vendor_manifest", {"a.csv": 1.0, MANIFEST: 1.0}, manifest=manifest)
    assert verdict.waiting_for == f"landing/acme/{MANIFEST} in a readable form"


class Landing:
    """A landing folder that changes while it is watched: at each time, what lies there from then on."""

    def __init__(self, wanted: Delivery, states: dict[float, dict[str, float]], manifest: bytes = b"") -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.looks = 0
        self._wanted, self._states, self._manifest = wanted, states, manifest

    def look(self) -> Listing:
        self.looks += 1
        spec = self._states[max(time for time in self._states if time <= self.now)]
        return classify(objects(spec), self._wanted, self.now, lambda _: self._manifest)

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 10
        self.now += seconds

    def wait(self) -> Verdict:
        return wait_until_whole(self.look, self._wanted, tell=self.told.append, sleep=self.sleep)


@pytest.mark.parametrize(
    ("rule", "states", "manifest", "data", "ends"),
    [
        ("quiet_period", {0: {}}, b"", [], (0, 0)),
        ("quiet_period", {0: {"a": -60.0}}, b"", ["a"], (0, 0)),
        # Nothing changes any more: only time has to pass.
        ("quiet_period", {0: {"a": -20.0}}, b"", ["a"], (40, 50)),
        # A growing listing starts the quiet anew with every object.
        ("quiet_period", {0: {"a": 0.0}, 50: {"a": 0.0, "b": 50.0}}, b"", ["a", "b"], (110, 120)),
        ("quiet_period", {0: {"a": 0.0}, 30: {"a": 30.0}}, b"", ["a"], (90, 100)),  # replaced meanwhile
        ("done_marker", {0: {"a": 0.0}, 95: {"a": 0.0, "x.DONE": 95.0}}, b"", ["a"], (95, 105)),
        ("vendor_manifest", {0: {"a": 0.0}, 41: {"a": 0.0, MANIFEST: 41.0}}, adobe("a"), ["a"], (41, 51)),
        (
            "vendor_manifest",
            {0: {"a": 0.0, MANIFEST: 0.0}, 33: {"a": 0.0, MANIFEST: 0.0, "b.gpg": 33.0}},
            adobe("a", "b"),
            ["a", "b.gpg"],
            (33, 43),
        ),
    ],
)
def test_waiting_ends_when_the_delivery_is_whole(
    rule: str, states: dict[float, dict[str, float]], manifest: bytes, data: list[str], ends: tuple[float, float]
) -> None:
    landing = Landing(delivery(rule), states, manifest)
    assert names(landing.wait().data) == data
    assert ends[0] <= landing.now <= ends[1]
    assert len(landing.told) == landing.looks - 1
    assert all(line.startswith("waiting for ") for line in landing.told)


@pytest.mark.parametrize(
    ("rule", "state", "message"),
    [
        ("done_marker", lambda _: {"a": 0.0}, r"\(done_marker\): still waiting for a marker \*\.DONE"),
        ("quiet_period", lambda now: {"a": now}, r"\(quiet_period\): still waiting for 60 more seconds"),
        ("vendor_manifest", lambda _: {"a": 0.0}, r"\(vendor_manifest\): still waiting for a manifest"),
    ],
)
def test_waiting_has_an_end(rule: str, state: Callable[[float], dict[str, float]], message: str) -> None:
    wanted = delivery(rule, max_wait=600)
    landing = Landing(wanted, {0.0: {}})

    def look() -> Listing:
        return classify(objects(state(landing.now)), wanted, landing.now, lambda _: b"")

    with pytest.raises(DeliveryIncompleteError, match=message) as caught:
        wait_until_whole(look, wanted, tell=landing.told.append, sleep=landing.sleep)
    assert 600 <= landing.now <= 610
    assert "--ready" in str(caught.value)


def test_a_wait_of_no_time_looks_once() -> None:
    landing = Landing(delivery("done_marker", max_wait=0), {0.0: {"a": 0.0}})
    with pytest.raises(DeliveryIncompleteError, match="after 0 seconds"):
        landing.wait()
    assert landing.looks == 1
