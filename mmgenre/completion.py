"""Prints a script that completes commands, options and settings in a shell.

eval "$(mmgenre completion bash)"       # in ~/.bashrc; likewise for zsh
mmgenre completion fish | source        # in ~/.config/fish/config.fish
"""

from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(module="mmgenre.completion", description=__doc__)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")
    args = parser.parse_args()
    import argcomplete

    print(argcomplete.shellcode(["mmgenre"], shell=args.shell))


if __name__ == "__main__":
    run_command(main)
