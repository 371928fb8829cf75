"""Why a model, a strategy or a workload cannot be run."""

from __future__ import annotations

from ..errors import HarnessError, UsageError


class NoSuchStrategy(UsageError):
    """There is no strategy of that name."""

    code = "no-such-strategy"
    remedy = "`harness strategies` lists what there is"


class StrategyCannotRun(HarnessError):
    """The strategy cannot run here.

    A GPU, a compiler or a package is missing, or it looks at values that a simulation does not
    have. The reason follows.
    """

    code = "strategy-cannot-run"
    remedy = "`harness strategies` lists what can"


class NotOwnLoop(UsageError):
    """Only the harness's own loop can be put together from choices; this strategy is another."""

    code = "not-own-loop"
    remedy = "leave the choice out, or choose another strategy"


class NoFixedShape(UsageError):
    """This execution replays steps of one shape, and the cache grows with every step."""

    code = "no-fixed-shape"
    remedy = "add --cache static"


class StrategyIsGreedy(HarnessError):
    """The strategy cannot draw tokens at random.

    The random numbers of a recorded step move on only when the host replays it.
    """

    code = "strategy-is-greedy"
    remedy = "leave out --temperature, or choose cuda-graph-deferred"


class ModelNotLoaded(HarnessError):
    """The model, or its configuration, cannot be loaded.

    There is no such folder, or no network for a hub id. `tiny` and `gpt2` need neither.
    """

    code = "model-not-loaded"


class PromptTooLong(UsageError):
    """Prompt and new tokens together are more than the model has positions for."""

    code = "prompt-too-long"


class NotInVocabulary(UsageError):
    """A token id lies outside the model's vocabulary.

    It is one of another tokenizer. For `--eos-id`, -1 means none.
    """

    code = "not-in-vocabulary"


class BadForcedEos(UsageError):
    """`--force-eos-at` takes one step for all rows, or one for each, each within the run.

    There has to be an end-of-sequence token to force: where the model names none, or `--eos-id -1`
    says that there is none, add `--eos-id`.
    """

    code = "bad-forced-eos"
    remedy = "add --eos-id"


class WindowOutsideRun(UsageError):
    """The window of steps does not lie within the run.

    Step 0 is the prefill, the last is `--max-new-tokens` less one.
    """

    code = "window-outside-run"


class WindowNotReached(HarnessError):
    """Every row had ended before the window opened.

    Generation ended early, at an end-of-sequence token.
    """

    code = "window-not-reached"


class StepsUsedTwice(HarnessError):
    """The steps of `profile.steps` were iterated before; they are used once."""

    code = "steps-used-twice"
    remedy = "make new ones"


class TransformersVersion(HarnessError):
    """The strategy hooks into transformers 5.17 to 5.23, and another version is installed."""

    code = "transformers-version"
    remedy = "install transformers 5.17 to 5.23"


class TorchTooEarly(HarnessError):
    """torch was imported before the allocator's setting could be made; CUDA reads it once."""

    code = "torch-too-early"
    remedy = "start `python -m harness.target` as a process of its own"


class ResultNotWritten(UsageError):
    """The folder of `--result` is missing or not writable."""

    code = "result-not-written"
    remedy = "name a file in a folder that exists and is writable"
