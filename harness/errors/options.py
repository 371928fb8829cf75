"""Command lines that make no sense."""

from __future__ import annotations

from . import UsageError


class OptionsConflict(UsageError):
    """Options were given that exclude each other, or one without the other that it is for.

    Each decides the same thing in its own way: a preset is a whole plan, and a session that is
    resumed goes on as it was begun. `--jobs` and `--dask` leave the rows of a trace where they were
    read, so there are no plots and pages with them.
    """

    code = "options-conflict"
    remedy = "give one of them"


class UnknownCommand(UsageError):
    """There is no command of that name.

    A file or a folder belongs behind a command: `harness gaps FILE`.
    """

    code = "unknown-command"
    remedy = "harness --help lists the commands"


class OptionBeforeCommand(UsageError):
    """An option of a command stands before it."""

    code = "option-before-command"
    remedy = "options follow the command: `harness gaps -q FILE`"


class NothingToDo(UsageError):
    """The command was not told what to work on.

    The line says which options name it.
    """

    code = "nothing-to-do"


class ValueOutOfRange(UsageError):
    """A number lies outside the range that makes sense."""

    code = "value-out-of-range"


class UnknownChoice(UsageError):
    """The value is not one of those that there are.

    They are listed, or `harness strategies --choices` lists them.
    """

    code = "unknown-choice"


class UnknownEnding(UsageError):
    """The ending of a file name does not say which format to write.

    The ending after `-o` picks the format. Where a command has `--format` or `--to`, it comes
    first.
    """

    code = "unknown-ending"


class OutputNeeded(UsageError):
    """This format is written to a file only.

    It is binary, or a terminal would drown in it. Text goes to a pipe as well.
    """

    code = "output-needed"


class OneTraceAFile(UsageError):
    """This format holds one trace in a file.

    The clocks of two recordings have nothing in common, so they cannot share a time axis.
    """

    code = "one-trace-a-file"
    remedy = "export each by itself"


class LabelCount(UsageError):
    """There are more or fewer labels than traces.

    Give one for each trace, in the same order, or none.
    """

    code = "label-count"
    remedy = "repeat it once for each trace, in the same order"


class BadLimit(UsageError):
    """The size of the cache that the environment asks for is not a size.

    Sizes are written as 500MB or 20GiB.
    """

    code = "bad-limit"


class UnknownCode(UsageError):
    """There is no entry of that name to explain."""

    code = "unknown-code"
    remedy = "`harness explain` lists them all"
