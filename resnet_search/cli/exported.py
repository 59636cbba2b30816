"""What the terminal shows of an export: its files and their latency."""

from __future__ import annotations

from rich.console import RenderableType

from resnet_search.cli.grid import Column, Grid, Hanging
from resnet_search.report.exported import Exported
from resnet_search.report.units import percent, size
from resnet_search.runs.latency import CPU, Latency


def files_table(exported: Exported) -> list[RenderableType]:
    """Return a row for each file and device, and how the times were measured; nothing without files."""
    if not exported.files:
        return []
    rows = [
        (file, device, [one for one in file.latencies if one.device == device])
        for file in exported.files
        for device in {one.device: None for one in file.latencies} or {CPU: None}
    ]
    gpu = any(device != CPU for _, device, _ in rows)
    single = [min(times, key=lambda one: one.batch, default=None) for _, _, times in rows]
    many = [max(times, key=lambda one: one.batch, default=None) for _, _, times in rows]
    grid = Grid(
        [
            Column("format", [file.format for file, _, _ in rows]),
            Column("file", [file.name for file, _, _ in rows], spare=4),
            Column("size", [size(file.size) for file, _, _ in rows], right=True, spare=1),
            Column("differs by", [f"{file.difference:.1e}" for file, _, _ in rows], right=True, spare=3),
            Column("same class", [percent(file.agreement) for file, _, _ in rows], right=True, spare=2),
            Column("on", [device if gpu else "" for _, device, _ in rows], spare=5),
            Column("p50 ms", ["" if one is None else f"{one.p50:.3g}" for one in single], right=True),
            Column("p99 ms", ["" if one is None else f"{one.p99:.3g}" for one in single], right=True),
            Column(f"images/s ({_batch(many)} at once)", [_throughput(one) for one in many], right=True),
        ],
        elsewhere="export.json has everything",
    )
    conditions = (
        f"p50 and p99 with one image a call, in the format's own runtime on {exported.machine}, measured just now"
    )
    return [grid, Hanging(f"Times      {conditions}")]


def _batch(times: list[Latency | None]) -> int:
    return next((one.batch for one in times if one is not None), 0)


def _throughput(one: Latency | None) -> str:
    return "" if one is None else f"{one.throughput:,.0f}"
