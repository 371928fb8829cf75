"""`-m MODULE` as Python takes it: what follows belongs to the module."""

from __future__ import annotations

import click


class ProgramLine(click.Command):
    """A command whose arguments are a program: `-m` begins it, as a name without a dash does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `--` before a `-m` that stands where an option may."""
        at = self._program_at(ctx, args)
        if at is not None:
            args = [*args[:at], "--", *args[at:]]
        return super().parse_args(ctx, args)

    def _program_at(self, ctx: click.Context, args: list[str]) -> int | None:
        takes = {
            name: 0 if param.is_flag or param.count else param.nargs
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            for name in (*param.opts, *param.secondary_opts)
        }
        at = 0
        while at < len(args):
            word = args[at]
            if word == "-m":
                return at
            if word == "--" or not word.startswith("-") or word == "-":
                return None
            at += 1 + (0 if "=" in word else takes.get(word, 0))
        return None
