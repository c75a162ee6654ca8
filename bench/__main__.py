"""`python -m bench`: measure, print, and write `bench/RESULTS.md`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import msgspec

from bench import report
from bench.profiling import profile
from bench.results import Results, command_line, machine
from bench.rounds import QUICK, Failed, Plan, Upstream, measure, upstream
from bench.subjects import ROOT, SUBJECTS, Subject

WORK = ROOT / "var" / "bench"
"""Databases, logs and raw figures; on the disk that the embedded profile would use."""
PAGE = ROOT / "bench" / "RESULTS.md"


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Two short rounds: does it run? Writes no page.")
@click.option("--rounds", type=click.IntRange(1, 100), help="So many rounds.")
@click.option("--subjects", default=",".join(SUBJECTS), help="Which, by name, with commas.")
@click.pass_context
def bench(context: click.Context, quick: bool, rounds: int | None, subjects: str) -> None:
    """Measure Govgate beside the direct call, the floor and installed peers."""
    if context.invoked_subcommand is not None:
        return
    plan = QUICK if quick else Plan()
    if rounds is not None:
        plan = msgspec.structs.replace(plan, rounds=rounds)
    chosen = _chosen(subjects)
    results = _measure_all(chosen, plan)
    page = report.markdown(results)
    WORK.joinpath("latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    click.echo(page)
    if not quick and len(chosen) == len(SUBJECTS):
        PAGE.write_text(report.keep_notes(page, PAGE))
    sys.exit(1 if results.failures else 0)


@bench.command("profile")
@click.option("--subject", default="governed", help="Which of Govgate's subjects.")
@click.option("--seconds", default=10.0, help="How long to ask it.")
@click.option("--streams", is_flag=True, help="Ask for streams instead of whole answers.")
def profile_command(subject: str, seconds: float, streams: bool) -> None:
    """Show where the processor time of one subject goes."""
    click.echo(profile(_chosen(subject)[0], WORK / "profile", seconds, streams=streams))


def _chosen(names: str) -> list[Subject]:
    unknown = [name for name in names.split(",") if name not in SUBJECTS]
    if unknown:
        raise click.UsageError(f"{', '.join(unknown)}: not among {', '.join(SUBJECTS)}")
    return [subject for name, subject in SUBJECTS.items() if name in names.split(",")]


def _measure_all(subjects: list[Subject], plan: Plan) -> Results:
    results = Results(machine(command_line()), plan, {}, {})
    for subject in subjects:
        if reason := subject.missing():
            results.failures[subject.name] = reason
    running = [subject for subject in subjects if subject.name not in results.failures]
    results.samples = {subject.name: [] for subject in running}
    directory = WORK / "run"
    shutil.rmtree(directory, ignore_errors=True)
    with upstream(directory / "upstream") as model:
        for turn in range(plan.rounds):
            # Each round begins with another subject, so that no one always goes first.
            for at in range(len(running)):
                subject = running[(turn + at) % len(running)]
                if subject.name not in results.failures:
                    _one(subject, directory, model, turn, results)
    if not results.failures:
        shutil.rmtree(directory)  # gigabytes of records; kept when somebody must look
    for name in results.failures:
        results.samples.pop(name, None)
    return results


def _one(subject: Subject, directory: Path, model: Upstream, turn: int, results: Results) -> None:
    try:
        sample = measure(subject, directory / subject.name, model, results.plan, turn)
    except (Failed, RuntimeError, TimeoutError) as error:
        results.failures[subject.name] = str(error)
        click.echo(f"round {turn + 1}  {subject.name:12}  failed: {error}", err=True)
        return
    results.samples[subject.name].append(sample)
    cpu = "" if sample.cpu is None else f"  {sample.cpu:.2f} ms CPU"
    click.echo(
        f"round {turn + 1}  {subject.name:12}  {sample.per_second:8,.0f} requests/s"
        f"  p50 {sample.p50:.2f} ms{cpu}",
        err=True,
    )


if __name__ == "__main__":
    bench(prog_name="python -m bench")
