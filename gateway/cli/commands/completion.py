"""``sap-ai-proxy completion``."""

import click


@click.command(short_help="Print the script with which a shell completes this command.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes this command: its options, tools and models.

    In ~/.bashrc or ~/.zshrc: eval "$(sap-ai-proxy completion bash)", or zsh; in fish:
    sap-ai-proxy completion fish | source
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        root = context.find_root()
        click.echo(found(root.command, {}, "sap-ai-proxy", "_SAP_AI_PROXY_COMPLETE").source())
