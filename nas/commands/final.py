"""What a search does at its end where a final was asked for: hold it, print how it ends, keep the winner's weights."""

from __future__ import annotations

from contextlib import closing

from nas import config
from nas.commands import cli
from nas.engines.make import EngineOptions, make_engine
from nas.report import page as report
from nas.runs.final import evaluator_in_full, has_random
from nas.runs.header import grown_flags, trust_flag
from nas.runs.search import StudyRun
from nas.training import retrain
from nas.trust import final as trust
from nas.trust import verdict


def hold(run: StudyRun, engine_options: EngineOptions, program: str, *, quiet: bool) -> int:
    """Train the best networks and those beside them, print how that ends, and keep the winner's weights.

    Args:
        run: The search, finished.
        engine_options: Where evaluations run.
        program: What goes on where this is stopped; ``nas-fit`` always holds a final.
        quiet: Show no progress.
    """
    settings, path = run.settings, run.path
    try:
        beside = None
        if has_random(settings):
            with closing(make_engine(engine_options, *config.make("evaluator", settings.evaluator))) as engine:
                beside = trust.random_search(run, engine, quiet=quiet)
        in_full = evaluator_in_full(settings, run.history.described)
        with closing(make_engine(engine_options, *in_full)) as engine:
            found = trust.hold(run, trust.contestants(run, beside), engine, cli.say, quiet=quiet)
        report.write_ended(path)
        cli.show("", verdict.title(found, settings.final_longer), verdict.table(found), "")
        weights = retrain.keep_winner(found.finalists[0].network, settings, path, quiet=quiet)
        report.write_ended(path)  # again: the weights are there now
    except KeyboardInterrupt:
        cli.say("Stopped; nothing finished is lost. To go on:")
        begun = run.history.config
        cli.say(f"  {program} --run-dir {path} --resume{grown_flags(settings, begun)}{trust_flag(begun)}")
        return cli.INTERRUPTED
    cli.say(f"Winner: {path / 'best.yaml'}" + (f", its weights: {weights / 'network.safetensors'}" if weights else ""))
    cli.say(found.verdict)
    return cli.DONE
