from search_space.seeding import derive_seed


def test_seeds_never_change() -> None:
    # Runs are resumed from seeds: a change here changes the rest of every unfinished run.
    assert derive_seed(0, "ask", 3) == 2584842824699359390
    assert 0 <= derive_seed(0, "ask", 3) < 2**63


def test_names_are_told_apart() -> None:
    names = [(0,), (1,), (0, "a"), (0, "a", 0), (0, "a", 1), (0, "a", 11), (0, "a", 1, 1), (0, "b", 1)]
    assert len({derive_seed(*name) for name in names}) == len(names)
