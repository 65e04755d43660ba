"""What every command shares: exit codes, one-line errors, help that shows defaults."""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from nas.commands import tables
from search_space.errors import MOST, InputError, NasError, one_line, printable, shown

_logger = logging.getLogger(__name__)

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines and adds each default to its help."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # A default of None, False or an empty list says nothing to a reader.
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # As Python from 3.13 on writes it, in every version: the value once, after all spellings.
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, and takes ``-5M`` for a value, not for a flag."""

    def __init__(self, prog: str, description: str = "", **kwargs: Any) -> None:
        kwargs = {"formatter_class": HelpFormatter, "allow_abbrev": False, **kwargs}
        super().__init__(prog=prog, description=description, add_help=False, **kwargs)
        self._about = self.add_argument_group("about the command")
        self._about.add_argument("-h", "--help", action="help", help="show this help message and exit")
        self._about.add_argument("--version", action=_Version, help="show the version and exit")
        self._about.add_argument(
            "--completion",
            action=_Completion,
            choices=("bash", "zsh", "tcsh"),
            help="print a completion script and exit",
        )
        self._negative_number_matcher = re.compile(r"-\.?[0-9]")

    def format_help(self) -> str:
        """What a newcomer needs comes first; help, version and completion come last, without the list of all flags."""
        self._action_groups.sort(key=lambda group: group is self._about)
        positional = [action.metavar or action.dest for action in self._positionals._group_actions]
        usage, self.usage = self.usage, self.usage or " ".join([self.prog, *map(str, positional), "[options]"])
        try:
            return super().format_help()
        finally:
            self.usage = usage

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        raise InputError(f"{message} (see {self.prog} --help)")


class _Version(argparse.Action):
    """Reads the version only when it is asked for."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(nargs=0, **{**kwargs, "default": argparse.SUPPRESS, "dest": argparse.SUPPRESS})

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        say(f"{parser.prog} {metadata.version('nas-b0')}")
        parser.exit()


class _Completion(argparse.Action):
    """What to put into a shell's start-up file."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "default": argparse.SUPPRESS, "dest": argparse.SUPPRESS})

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, *rest: Any) -> None:
        import shtab  # where it is used

        say(shtab.complete(parser, values))
        parser.exit()


def run(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Run a command's body and turn what it raises into an exit code and one line on stderr.

    0 done, 1 failed, 2 wrong input, 130 interrupted. Any other exception is a bug and keeps its traceback.

    Args:
        parser: The command's own; the line begins with its program.
        command: Its body.
        argv: The arguments; None for the process's.
    """
    complain = functools.partial(_complain, parser.prog)
    try:
        _prepare()
        return command(parser.parse_args(argv))
    except InputError as error:
        return complain(str(error), WRONG_INPUT)
    except NasError as error:
        return complain(str(error), FAILED)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop_output()  # its reader has gone (e.g. `| head`): end quietly
        return DONE
    except OSError as error:  # a path that cannot be, a folder that is gone or not ours, a full disk
        _logger.debug("ended by the operating system", exc_info=True)
        if error.filename is None:  # of a file that was open already, our output among them
            _drop_output()
            return complain(f"cannot be read or written: {error.strerror or error}", FAILED)
        return complain(f"{os.fsdecode(error.filename)}: {error.strerror}", WRONG_INPUT)


def _prepare() -> None:
    """Let user's own classes be found, and say as much as NAS_LOG asks for.

    Raises:
        InputError: The current folder is gone, or there is no such level.
    """
    try:
        sys.path.append(os.getcwd())  # where a user's own package.module:Class lies
    except FileNotFoundError:
        raise InputError("the current folder has been deleted; change to another") from None
    level = os.environ.get("NAS_LOG", "WARNING").upper()
    if level not in (known := ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")):
        raise InputError(f"NAS_LOG must be one of {', '.join(known)}, got {shown(level)}")
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")


def _drop_output() -> None:
    """Keep Python from flushing at exit what cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str = "") -> None:
    """Print to stdout, without control characters: the only way output leaves a command, apart from progress."""
    text = printable(text, keep="\n\t")
    if sys.stdout.isatty():
        text = wrapped(text, shutil.get_terminal_size().columns)
    print(text, flush=True)  # noqa: T201 - the one place that prints


_WHOLE = re.compile(
    r"nas-[a-z]+(?: (?:--?[a-z][\w-]*(?: [^\s-][^\s;)]*)?|[^\s;)]*[/.][^\s;)]+|[^\s;)]+(?= --?[a-z])))*[;).,]*|\S+"
)
"""A command with its paths and flags, or a word: what a line is never broken in."""
_PART = re.compile(r"(?:^nas-[a-z]+(?: [^\s-]\S*)*|--?[a-z]\S*(?: [^\s-]\S*)*)")
"""A flag of a command with its value, or what stands before the first flag."""


def wrapped(text: str, width: int) -> str:
    """Text for a terminal: lines end between words, never inside a command or a path; what is set in stays as it is.

    A command that is too long for a line goes on in the next as a shell takes it, with a backslash before a flag.
    """
    lines = []
    for line in text.split("\n"):
        inset = line[: len(line) - len(line.lstrip())]
        if len(line) <= width or line.startswith("|") or (inset and not line.lstrip().startswith("nas-")):
            lines.append(line)
        else:
            lines += [inset + row for row in _rows(line.strip(), width - len(inset))]
    return "\n".join(lines)


def _rows(line: str, width: int) -> list[str]:
    rows: list[str] = []
    for whole in _WHOLE.findall(line):
        if rows and len(rows[-1]) + 1 + len(whole) <= width:
            rows[-1] += f" {whole}"
        elif len(whole) > width and whole.startswith("nas-"):
            rows += _continued(whole, width)
        else:
            rows.append(whole)
    return rows


def _continued(command: str, width: int) -> list[str]:
    """A command over several lines, set in after the first."""
    rows = [""]
    for part in _PART.findall(command):
        if rows[-1] and len(rows[-1]) + len(part) + 3 > width:
            rows[-1] += " \\"
            rows.append("  " + part)
        else:
            rows[-1] += f" {part}" if rows[-1] else part
    return rows


def say_notes(described: Mapping[str, Any]) -> None:
    """Print what an evaluator says that the user should know of the data."""
    for line in described.get("notes", ()):
        say(one_line(str(line)))


def show(*parts: object) -> None:
    """Print texts and tables to stdout; for a terminal they are made to fit, for nothing else."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = tables.UNBOUNDED
    for part in parts:
        if isinstance(part, Table):
            console.print(*tables.fitted(part, console), sep="\n\n")
        else:
            say(str(part))


def _complain(program: str, message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"{program}: {one_line(message, MOST)}", file=sys.stderr)  # noqa: T201 - the one place that prints errors
    return code
