"""The command line of the same name; ``--help`` says what it takes."""

from mmseg_heritage.__main__ import run

if __name__ == "__main__":
    run("condition-record")
