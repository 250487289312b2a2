"""``python -m mmseg_heritage``, the command ``mmseg-heritage``, and what tools/ run."""

import signal
import sys


def run(*command: str) -> None:
    """Runs the command line; Ctrl-C ends it without a traceback in whatever it is doing.

    Python raises KeyboardInterrupt from its start to its end. While modules are imported, and when
    all is over, nobody is there to say so in one line: the signal ends the process then.

    Args:
        command: What stands before the arguments of the process, such as "train".
    """
    earlier = signal.getsignal(signal.SIGINT)
    if earlier is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mmseg_heritage.cli import common, main

    common.is_own_process = True
    signal.signal(signal.SIGINT, earlier)
    code = main([*command, *sys.argv[1:]])
    if earlier is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


if __name__ == "__main__":
    run()
