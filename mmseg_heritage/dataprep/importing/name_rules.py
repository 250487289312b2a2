"""Regular expressions of a mapping, which a stranger may have written, applied to names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence

from mmseg_heritage.errors import InputError

_LIMIT = 20.0  # seconds; a sound rule takes a millionth of one for a name
_APPLY = """
import json, re, sys
rule, names = json.load(sys.stdin)
found = ((name, re.fullmatch(rule, name)) for name in names)
json.dump({name: match[1] for name, match in found if match}, sys.stdout)
"""


def groups_of(rule: re.Pattern[str], names: Sequence[str], key: str) -> dict[str, str | None]:
    """Applies a rule to names, in a process of its own, because Python's matching has no limit.

    Some rules, such as ``(a+)+b``, take longer than the universe is old for names of 200 letters.

    Args:
        rule: With one group; it must match a whole name.
        names: The names.
        key: What the mapping calls the rule, for messages.

    Returns:
        Name -> its group, of the names that match; None where the group took no part.

    Raises:
        InputError: If it takes too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _APPLY],
            input=json.dumps([rule.pattern, list(names)]),
            capture_output=True,
            text=True,
            check=True,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{key}: '{rule.pattern}' takes more than {_LIMIT:.0f} s for {len(names)} names; write "
            "it without repetitions within or beside one another"
        ) from error
    found: dict[str, str | None] = json.loads(done.stdout)
    return found
