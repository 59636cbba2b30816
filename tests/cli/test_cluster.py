"""What the command line says of a cluster, to the search and of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from resnet_search.cli.cluster import Part, take_cluster
from resnet_search.cli.options import WorkerCount
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.session import Session
from resnet_search.errors import UsageError
from resnet_search.workers.cluster import Cluster


def taken(workers, runs_dir="runs", **given):
    options = {"workers": workers, "cpus_per_trial": None, "gpus_per_trial": None, "storage": None, **given}
    take_cluster(Session(), options, Path(runs_dir))
    assert list(options) == ["workers"], "the others are no options of a search"
    return options["workers"]


def test_the_values_of_workers():
    kind = WorkerCount()
    assert kind.convert("auto", None, None) is None
    assert kind.convert("3", None, None) == 3
    assert kind.convert("ray", None, None) == Cluster()
    assert kind.convert("ray://a:1", None, None) == Cluster(address="a:1")
    with pytest.raises(click.BadParameter, match="got 'auto'"):
        WorkerCount(auto=False).convert("auto", None, None)
    with pytest.raises(UsageError, match="--workers: got 'ray:/a'"):
        kind.convert("ray:/a", None, None)


def test_what_a_trial_takes_is_of_the_cluster():
    assert taken(Cluster(address="a:1"), gpus_per_trial=0.25, cpus_per_trial=2.0) == Cluster(
        address="a:1", gpus=0.25, cpus=2.0
    )
    assert taken(4) == 4
    assert taken(None) is None


@pytest.mark.parametrize("given", [{"gpus_per_trial": 0.0}, {"cpus_per_trial": 1.0}, {"storage": Path("/s")}])
def test_options_of_a_cluster_without_one_are_refused(given):
    [name] = given
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} .*--workers ray"):
        taken(2, **given)


def test_the_runs_lie_in_the_storage(tmp_path):
    assert taken(Cluster(), str(tmp_path / "runs"), storage=tmp_path).storage == str(tmp_path)
    with pytest.raises(UsageError, match="--storage: got ") as caught:
        taken(Cluster(), str(tmp_path), storage=tmp_path / "other")
    assert "--runs-dir" in caught.value.cure


@pytest.mark.parametrize(("word", "option"), [("ray", ""), ("ray://a:1", " --workers ray://a:1")])
def test_an_address_is_part_of_the_command_that_goes_on(word, option, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").touch()
    session = Session(tmp_path / "a", tmp_path)
    take_cluster(
        session,
        {"workers": Cluster.from_word(word), "cpus_per_trial": None, "gpus_per_trial": None, "storage": None},
        tmp_path,
    )
    assert session.resume == f"resnet-search resume a --runs-dir {tmp_path}{option}"


@pytest.mark.parametrize("word", ["", "nan", "1e3", "-1", "1_0", "٣", "half"])
def test_parts_are_plain_numbers(word):
    with pytest.raises(click.BadParameter, match=re.escape(repr(word))):
        Part().convert(word, None, None)


def test_a_search_that_waits_says_so_once(capsys):
    lines = PlainLines("")
    lines._progress = SimpleNamespace(take=lambda *_: None)
    waiting = {"event": "waiting", "trial": "0000", "reason": "no node"}
    for event in (waiting, waiting, {"event": "worker_ready"}, waiting):
        lines(event, SimpleNamespace(content={}))
    assert capsys.readouterr().out.count("no node") == 2
