from recsys.datasets.simulation.words.vocabulary import vocabulary

WORDS = vocabulary()


def test_vocabulary_is_rich_and_has_no_repeats() -> None:
    assert len(WORDS.families) >= 30
    assert len(WORDS.categories) == 8
    assert len({family.name for family in WORDS.families}) == len(WORDS.families)
    assert len({style.name for style in WORDS.styles}) == len(WORDS.styles)
    assert len({occasion.name for occasion in WORDS.occasions}) == len(WORDS.occasions)
    assert len(set(WORDS.brands)) == len(WORDS.brands)


def test_rare_and_frequent_categories_exist() -> None:
    named = {name for style in WORDS.styles for name in style.rare_in}
    named |= {name for occasion in WORDS.occasions for name in occasion.frequent_in}
    assert named == set(WORDS.categories)


def test_a_category_tells_neither_style_nor_occasion() -> None:
    for name in WORDS.categories:
        assert sum(name not in style.rare_in for style in WORDS.styles) >= len(WORDS.styles) / 2
        assert sum(name in occasion.frequent_in for occasion in WORDS.occasions) >= 3
