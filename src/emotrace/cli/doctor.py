"""`emotrace doctor`: what this machine has, what is missing, what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_json, result_console, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.cli.doctor_finding import Finding

PROGRAM = "emotrace doctor"
DESCRIPTION = """\
Show what this machine has, what is missing and what to do about it.

Leaves with exit code 0 if `emotrace analyze` can work, with 1 if not.

Examples:
  emotrace doctor
  emotrace doctor --json > for_the_bug_report.json
"""
STYLES = {"ok": "green", "missing": "yellow", "problem": "bold red"}


@dataclass(frozen=True, kw_only=True)
class DoctorArguments:
    """The words after `emotrace doctor`."""

    json: Switch = False
    """Print JSON."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code: 0 if `analyze` can work.

    Raises:
        UsageError: A flag is wrong.
    """
    arguments = parse_arguments(DoctorArguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.cli.doctor_checks import examine

    findings = examine()
    can_analyze = not any(finding.blocks_analyze for finding in findings)
    if arguments.json:
        print_json(
            {
                "can_analyze": can_analyze,
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        _show(findings, can_analyze=can_analyze)
    return 0 if can_analyze else 1


def _show(findings: Sequence[Finding], *, can_analyze: bool) -> None:
    from rich.text import Text

    console = result_console()
    for group, members in groupby(findings, key=lambda finding: finding.group):
        console.print(Text(group, style="bold"))
        listed = list(members)
        width = max(len(finding.name) for finding in listed)
        for finding in listed:
            head = f"  {finding.status:<7}  {finding.name:<{width}}  "
            line = Text(wrapped(console, finding.detail, head=head))
            line.stylize(STYLES[finding.status], 2, 9)
            console.print(line)
            if finding.fix is not None:
                indent = " " * (len(head) - 2)
                console.print(wrapped(console, finding.fix, head=f"{indent}  to do: "))
    todo = sum(finding.fix is not None for finding in findings)
    if not can_analyze:
        console.print(
            Text("`emotrace analyze` cannot work until the above is mended.", style="bold red")
        )
        return
    rest = f" {todo} more to do, if you need it: see above." if todo else ""
    console.print(Text(f"`emotrace analyze` can work on this machine.{rest}", style="bold green"))
