"""Why nothing was measured or compared, or a results file cannot be used."""

from __future__ import annotations

from ..errors import HarnessError, UsageError


class ChoicesConflict(UsageError):
    """Two choices of one kind were asked for, in `NAME+CHOICE`."""

    code = "choices-conflict"


class VisitFailed(HarnessError):
    """A cell could not be measured; the others can.

    The measuring process was killed or ended on the way: out of memory, often. Its last words
    follow.
    """

    code = "visit-failed"


class NothingMeasured(HarnessError):
    """The measuring process failed at once; its reason follows."""

    code = "nothing-measured"


class ProfilerAttached(HarnessError):
    """A profiler is attached to the measuring process, and would be timed too."""

    code = "profiler-attached"
    remedy = "run harness bench without it: it would time the profiler too"


class NothingToResume(HarnessError):
    """There is no session that could go on.

    The results file does not exist, its session is complete, or another version began it.
    """

    code = "nothing-to-resume"
    remedy = "leave --resume out to measure anew"


class OtherPlan(UsageError):
    """The session measures something else than these options ask for."""

    code = "other-plan"
    remedy = "give --resume alone: the session knows its own plan"


class OtherMachine(HarnessError):
    """The session was begun on another machine or with other versions.

    Its runs and new ones would not be comparable.
    """

    code = "other-machine"
    remedy = "leave --resume out to measure anew"


class NotInResults(HarnessError):
    """The results hold no such session, cell, strategy or metric.

    What there is follows, or `harness results FILE` lists it. Several sessions may begin with the
    same letters, and a filter may leave none.
    """

    code = "not-in-results"


class NotResults(HarnessError):
    """The file is not a results file of `harness bench`."""

    code = "not-results"


class ResultsVersion(HarnessError):
    """Another version of the harness wrote the results file."""

    code = "results-version"
    remedy = "use the harness that wrote it, or another file"


class ResultsDamaged(HarnessError):
    """The results file was changed by something else.

    A value in it cannot be what the harness wrote.
    """

    code = "results-damaged"
    remedy = "take a copy of it that is sound, or measure again"


class ResultsNotOpened(HarnessError):
    """SQLite cannot open or write the results file; its reason follows."""

    code = "results-not-opened"


class ResultsJournal(HarnessError):
    """A file of SQLite lies beside the results that no `harness bench` leaves there.

    SQLite would follow it, and change or delete files. A program other than the harness has written
    the results, or somebody made them up.
    """

    code = "results-journal"
    remedy = "take the results from where they were measured again"


class ResultsInUse(HarnessError):
    """Another `harness bench` is writing the results file; one writes at a time."""

    code = "results-in-use"
    remedy = "wait for it, or choose another -o FILE"


class NothingToCompare(HarnessError):
    """A side of the comparison has no steps and no runs.

    `--step` names the ranges that are steps; `harness gaps` says which there are.
    """

    code = "nothing-to-compare"
    remedy = "--step names the NVTX ranges that are steps; `harness gaps` says what it has"


class NothingInCommon(HarnessError):
    """The two sides share no strategy or label.

    `FILE#STRATEGY` picks a strategy of a results file, and `--label` names a trace.
    """

    code = "nothing-in-common"
    remedy = "FILE#STRATEGY picks one strategy of a results file"
