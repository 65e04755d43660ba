import io
from pathlib import Path

from rich.console import Console

from nas.progress import FAILED, SPARKLINE, SearchProgress, sparkline
from nas.study import Study
from tests.runs import make_run


def shown(study: Study, *, terminal: bool, quiet: bool = False) -> str:
    """All that is written while the last three trials finish."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=110, color_system=None)
    with SearchProgress(study, quiet=quiet, console=console) as progress:
        for trial in study.trials[-3:]:
            progress.update(trial)
    return file.getvalue()


def test_the_terminal_shows_counts_the_best_rewards_and_the_last_trials(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=16, stop_after=12, evaluator={"fail_every": 2})
    study.history.trials = study.history.finished
    console = Console(file=io.StringIO(), width=110)
    progress = SearchProgress(study, quiet=False, console=console)
    console.print(progress.view())
    assert isinstance(console.file, io.StringIO)
    bar, best, rewards, _, *last = console.file.getvalue().splitlines()
    assert "12/16" in bar
    assert "time left unknown" in bar
    assert study.best is not None
    assert best.startswith(f"best {study.best.reward:.4f} (")
    assert rewards.split() == ["rewards", sparkline(study.trials, 72).plain]
    assert [line.split()[0] for line in last] == [str(t.number) for t in study.trials[-5:]]
    failed = [line for line, t in zip(last, study.trials[-5:], strict=True) if not t.ok]
    assert failed
    assert all("failed: RuntimeError: this network always fails" in line for line in failed)


def test_markup_in_a_reason_is_text(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=3, evaluator={"fail_every": 1, "fail_with": "[red]boom[/red] [/]"})
    assert "[red]boom[/red] [/]" in shown(study, terminal=True)
    assert "[red]boom[/red] [/]" in shown(study, terminal=False)
    assert "no network yet" in shown(study, terminal=True)


def test_elsewhere_there_is_a_line_a_trial(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=8)
    lines = shown(study, terminal=False).splitlines()
    assert len(lines) == 3
    trial = study.trials[5]
    assert lines[0].startswith(f"9/8 done: trial 5  reward {trial.reward:.4f}  accuracy ")
    assert "\x1b" not in "".join(lines)


def test_quiet_shows_nothing(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=8)
    assert shown(study, terminal=True, quiet=True) == ""
    assert shown(study, terminal=False, quiet=True) == ""


def test_sparkline_spans_the_range(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=24, evaluator={"fail_every": 4})
    line = sparkline(study.trials, 100).plain
    assert len(line) == 24
    good = [t for t in study.trials if t.ok]
    assert [i for i, spark in enumerate(line) if spark == FAILED] == [t.number for t in study.trials if not t.ok]
    assert line[max(good, key=lambda t: t.reward or 0).number] == SPARKLINE[-1]
    assert line[min(good, key=lambda t: t.reward or 0).number] == SPARKLINE[0]
    assert sparkline(study.trials, 10).plain == line[-10:]
    assert sparkline([], 10).plain == ""


def test_equal_rewards_are_all_the_best(tmp_path: Path) -> None:
    study = make_run(tmp_path, trials=1)
    assert sparkline(study.trials, 10).plain == SPARKLINE[-1]
