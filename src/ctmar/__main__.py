"""The command `ctmar`, also `python -m ctmar`; without the packages of the study it says how to get them."""

import sys


def main() -> None:
    """Run the command line of :mod:`ctmar.cli`, which needs more than the library alone brings."""
    try:
        from ctmar.cli import main as command_line

        command_line()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "ctmar", "equiproj"):  # a mistake of ours
            raise
        print(
            f"ctmar: the study needs {package}, which is not installed: pip install 'equiproj[ctmar]'", file=sys.stderr
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
