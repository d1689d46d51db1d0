"""A typer group with a default command: `recsys train W` means `recsys train bundle W`."""

from typing import Any

from typer.core import TyperGroup

DEFAULT = "bundle"


class DefaultGroup(TyperGroup):
    """Takes `recsys train WORKSPACE` for `recsys train bundle WORKSPACE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of what names none.

        Args:
            ctx: Of the call.
            args: What follows the group's name.

        Returns:
            What is left to parse.
        """
        if args and args[0] not in {*self.commands, "--help"}:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)
