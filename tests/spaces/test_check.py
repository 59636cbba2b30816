"""Wrong space files: each mistake names its key, the value and what is allowed, and all are reported at once."""

from __future__ import annotations

import pytest

from resnet_search.errors import SpaceError
from resnet_search.spaces import parse_space

GOOD = {
    "axes": {"n": "[1, 2]", "width": "[8, 16]", "block": '["basic", "resnext"]', "cardinality": "[2, 4]"},
    "limits": {"max_params": "300_000"},
    "hyperband": {"max_epochs": "9"},
    "recipe": {"name": '"search"'},
    "data": {"source": '"shapes"'},
}


def written(changes):
    """The good file with `table.key` set to TOML text, or dropped for None."""
    tables = {table: dict(keys) for table, keys in GOOD.items()}
    for place, text in changes.items():
        table, key = place.split(".", 1)
        tables.setdefault(table, {})[key] = text
    blocks = [
        f"[{table}]\n" + "\n".join(f"{key} = {text}" for key, text in keys.items() if text is not None)
        for table, keys in tables.items()
    ]
    return "\n".join(blocks)


def mistakes(text):
    with pytest.raises(SpaceError) as caught:
        parse_space(text, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert caught.value.exit_status in (1, 2)
    assert "Traceback" not in str(caught.value)
    return caught.value.mistakes


WIDTHS = "1 to 1,024"
WRONG = [
    # what is changed, the key that is named, the value shown, what is said of it
    ({"axes.width": '"abc"'}, "[axes] width", '"abc"', WIDTHS),
    ({"axes.width": "[8, 0]"}, "[axes] width", "0", WIDTHS),
    ({"axes.width": "[8, -16]"}, "[axes] width", "-16", WIDTHS),
    ({"axes.width": "[8, 16.0]"}, "[axes] width", "16.0", WIDTHS),
    ({"axes.width": "true"}, "[axes] width", "true", WIDTHS),
    ({"axes.width": "[1, true]"}, "[axes] width", "true", WIDTHS),
    ({"axes.width": "[]"}, "[axes] width", "[]", "empty"),
    ({"axes.width": "[8, 16, 8]"}, "[axes] width", "8", "2 times"),
    ({"axes.width": "[[8, 16]]"}, "[axes] width", "[8, 16]", WIDTHS),
    ({"axes.width": "{ min = 8, max = 16 }"}, "[axes] width", "{ min = 8, max = 16 }", WIDTHS),
    ({"axes.width": "nan"}, "[axes] width", "nan", WIDTHS),
    ({"axes.width": "0x" + "f" * 4_000}, "[axes] width", "an integer of 4817 digits", WIDTHS),
    ({"axes.width": "1979-05-27"}, "[axes] width", "1979-05-27", WIDTHS),
    ({"axes.width": '"\\u001b[31mred\\u0000"'}, "[axes] width", '"\\x1b[31mred\\x00"', WIDTHS),
    ({"axes.width": None}, "[axes] width", "missing", WIDTHS),
    ({"axes.width": None, "axes.widht": "[8]"}, "[axes] widht", "[8]", 'nearest: "width"'),
    ({"axes.n": None}, "[axes] n", "missing", "depth or blocks"),
    ({"axes.depth": "[8]"}, "[axes] depth", "[8]", "n, depth and blocks"),
    ({"axes.n": None, "axes.depth": "[15]"}, "[axes] depth", "15", "14 and 20"),
    ({"axes.n": None, "axes.depth": "[8, 9]"}, "[axes] depth", "9", "8 and 11"),
    ({"axes.n": None, "axes.depth": "[7]"}, "[axes] depth", "7", "8 to 1,000"),
    ({"axes.n": "101"}, "[axes] n", "101", "1 to 100"),
    ({"axes.n": "[0]"}, "[axes] n", "0", "1 to 100"),
    ({"axes.n": "[1.5]"}, "[axes] n", "1.5", "1 to 100"),
    ({"axes.n": "[true]"}, "[axes] n", "true", "1 to 100"),
    ({"axes.n": "[]"}, "[axes] n", "[]", "empty"),
    ({"axes.n": "{ min = 1, max = 3 }"}, "[axes] n", "{ min = 1, max = 3 }", "1 to 100"),
    ({"axes.n": "9" * 80}, "[axes] n", "digits", "1 to 100"),
    ({"axes.block": '["basic", "botleneck"]'}, "[axes] block", '"botleneck"', 'nearest: "bottleneck"'),
    ({"axes.block": "3"}, "[axes] block", "3", '"plain", "basic", "bottleneck", "resnext"'),
    ({"axes.block": None}, "[axes] block", "missing", '"plain", "basic"'),
    ({"axes.block": '"basic"'}, "[axes] cardinality", "[2, 4]", "resnext"),
    ({"axes.block": '"basic"', "axes.cardinality": None, "axes.base_width": "4"}, "[axes] base_width", "4", "resnext"),
    (
        {"axes.block": '"plain"', "axes.cardinality": None, "axes.shortcut": '"identity"'},
        "[axes] shortcut",
        '"identity"',
        "basic",
    ),
    ({"axes.cardinality": None}, "[axes] cardinality", "missing", "resnext"),
    ({"axes.blocks": "[[2, 2, 2]]"}, "[axes] blocks", "[[2, 2, 2]]", "n, depth and blocks"),
    ({"axes.n": None, "axes.blocks": "[]"}, "[axes] blocks", "[]", "empty"),
    ({"axes.n": None, "axes.blocks": "[[]]"}, "[axes] blocks", "[]", "1 to 100"),
    ({"axes.n": None, "axes.blocks": "3"}, "[axes] blocks", "3", "1 to 100"),
    ({"axes.n": None, "axes.blocks": "[3, 0, 3]"}, "[axes] blocks", "[3, 0, 3]", "1 to 100"),
    ({"axes.n": None, "axes.blocks": "[[2, 2], 3]"}, "[axes] blocks", "3", "1 to 100"),
    ({"axes.n": None, "axes.blocks": "[[2, 2], [2, true]]"}, "[axes] blocks", "[2, true]", "1 to 100"),
    ({"axes.n": None, "axes.blocks": "[[2, 2], [2, 2]]"}, "[axes] blocks", "[2, 2]", "once"),
    ({"axes.n": None, "axes.blocks": str([1] * 9)}, "[axes] blocks", "[1, 1, 1", "8 stages"),
    ({"axes.multiples": "[1, 2]"}, "[axes] multiples", "[1, 2]", "3 numbers"),
    ({"axes.multiples": "[[1, 2, 4], [1, 2.0, 4]]"}, "[axes] multiples", "[1, 2, 4]", "once"),
    ({"axes.multiples": "[1, 2, 100]"}, "[axes] multiples", "[1, 2, 100]", "0.0625 to 64"),
    ({"axes.n": None, "axes.blocks": "[[2, 2], [2, 2, 2, 2]]", "axes.multiples": "[1, 2, 4]"},
     "[axes] multiples", "[1, 2, 4]", "2 or 4 numbers"),
    ({"axes.attention": '"see"'}, "[axes] attention", '"see"', 'nearest: "se"'),
    ({"axes.attention_ratio": "8"}, "[axes] attention_ratio", "8", '"se"'),
    ({"axes.attention": '"none"', "axes.attention_ratio": "8"}, "[axes] attention_ratio", "8", '"se"'),
    ({"axes.stem": '["cifar", "deap"]'}, "[axes] stem", '"deap"', 'nearest: "deep"'),
    ({"axes.activation": '"swish"'}, "[axes] activation", '"swish"', '"relu", "leaky_relu"'),
    ({"axes.block": '["basic", "wide"]', "axes.cardinality": None, "axes.dropout": "1"},
     "[axes] dropout", "1", "0 to 0.9"),
    ({"axes.dropout": "0.3"}, "[axes] dropout", "0.3", "wide"),
    ({"axes.stochastic_depth": "nan"}, "[axes] stochastic_depth", "nan", "0 to 0.9"),
    ({"axes.zero_gamma": "1"}, "[axes] zero_gamma", "1", "true or false"),
    ({"axes.zero_gamma": "[true, true]"}, "[axes] zero_gamma", "true", "once"),
    ({"axes.block": '"wide"', "axes.cardinality": None, "axes.zero_gamma": "true"},
     "[axes] zero_gamma", "true", "basic, bottleneck, resnext"),
    ({"axes.shortcut": '"projektion"'}, "[axes] shortcut", '"projektion"', 'nearest: "projection"'),
    ({"limits.max_params": "-1"}, "[limits] max_params", "-1", "1 to 10,000,000,000"),
    ({"limits.max_params": "0"}, "[limits] max_params", "0", "1 to 10,000,000,000"),
    ({"limits.max_params": "[1, 2]"}, "[limits] max_params", "[1, 2]", "1 to "),
    ({"limits.max_macs": "inf"}, "[limits] max_macs", "inf", "1 to "),
    ({"limits.max_flops": "5"}, "[limits] max_flops", "5", "allowed: max_params, min_params, params, max_macs"),
    ({"limits.max_params": "7", "limits.min_params": "8"}, "[limits] min_params", "8", "at most max_params"),
    ({"limits.params": "70"}, "[limits] params", "70", '"70k +- 5 %"'),
    ({"limits.params": '"70k"'}, "[limits] params", '"70k"', '"70k +- 5 %"'),
    ({"limits.params": '"70k +- 100 %"'}, "[limits] params", '"70k +- 100 %"', '"70k +- 5 %"'),
    ({"limits.params": '"20G +- 5 %"'}, "[limits] params", '"20G +- 5 %"', '"70k +- 5 %"'),
    ({"limits.params": '"70k +- 5 %"', "limits.max_params": "300_000"},
     "[limits] max_params", "300000", "not given together with params"),
    ({"hyperband.max_epochs": "27.0"}, "[hyperband] max_epochs", "27.0", "1 to 10,000"),
    ({"hyperband.max_epochs": "0"}, "[hyperband] max_epochs", "0", "1 to 10,000"),
    ({"hyperband.max_epochs": '"3"'}, "[hyperband] max_epochs", '"3"', "1 to 10,000"),
    ({"hyperband.max_epochs": "false"}, "[hyperband] max_epochs", "false", "1 to 10,000"),
    ({"hyperband.min_epochs": "0"}, "[hyperband] min_epochs", "0", "1 to 10,000"),
    ({"hyperband.min_epochs": "0.009"}, "[hyperband] min_epochs", "0.009", "a fraction of an epoch, at least 0.01"),
    ({"hyperband.min_epochs": "1.5"}, "[hyperband] min_epochs", "1.5", "integers from 1"),
    ({"hyperband.min_epochs": "nan"}, "[hyperband] min_epochs", "nan", "integers from 1"),
    ({"hyperband.min_epochs": "true"}, "[hyperband] min_epochs", "true", "integers from 1"),
    ({"hyperband.min_epochs": "10"}, "[hyperband] min_epochs", "10", "at most max_epochs, which is 9"),
    ({"hyperband.final_epochs": "8"}, "[hyperband] final_epochs", "8", "at least max_epochs, which is 9"),
    ({"hyperband.final_epochs": "0"}, "[hyperband] final_epochs", "0", "1 to 10,000"),
    ({"hyperband.factor": "1"}, "[hyperband] factor", "1", "2 to 100"),
    ({"hyperband.iterations": "0"}, "[hyperband] iterations", "0", "1 to 1,000"),
    ({"hyperband.max_epoch": "9"}, "[hyperband] max_epoch", "9", 'nearest: "max_epochs"'),
    ({"recipe.name": '"serch"'}, "[recipe] name", '"serch"', 'nearest: "search"'),
    ({"recipe.name": '["search", "he"]'}, "[recipe] name", '["search", "he"]', '"search", "he"'),
    ({"recipe.momentm": "0.9"}, "[recipe] momentm", "0.9", 'nearest: "momentum"'),
    ({"recipe.learning_rate": '"high"'}, "[recipe] learning_rate", '"high"', "{ min, max, log }"),
    ({"recipe.learning_rate": "inf"}, "[recipe] learning_rate", "inf", "1e-06 to 10"),
    ({"recipe.learning_rate": "1e9"}, "[recipe] learning_rate", "1000000000.0", "1e-06 to 10"),
    ({"recipe.learning_rate": "nan"}, "[recipe] learning_rate", "nan", "1e-06 to 10"),
    ({"recipe.learning_rate": "[0.1, 1, 1.0]"}, "[recipe] learning_rate", "1", "once"),
    ({"recipe.learning_rate": "{ min = 0.1 }"}, "[recipe] learning_rate.max", "missing", "1e-06 to 10"),
    ({"recipe.learning_rate": "{ min = 0.4, max = 0.1 }"}, "[recipe] learning_rate", "{ min = 0.4", "below"),
    ({"recipe.learning_rate": "{ min = 0.1, max = 0.1 }"}, "[recipe] learning_rate", "{ min = 0.1", "below"),
    ({"recipe.learning_rate": "{ min = 0.1, max = 99 }"}, "[recipe] learning_rate.max", "99", "1e-06 to 10"),
    ({"recipe.learning_rate": "{ min = 0.1, max = 1, log = 1 }"}, "[recipe] learning_rate.log", "1", "true or false"),
    ({"recipe.learning_rate": "{ min = 0.1, max = 1, lg = true }"}, "[recipe] learning_rate.lg", "true", '"log"'),
    ({"recipe.momentum": "{ min = 0, max = 0.9, log = true }"}, "[recipe] momentum.min", "0", "above 0"),
    ({"recipe.batch_size": "{ min = 1.5, max = 8 }"}, "[recipe] batch_size.min", "1.5", "1 to "),
    ({"recipe.batch_size": "0x" + "f" * 4_000}, "[recipe] batch_size", "an integer of 4817 digits", "1 to "),
    ({"recipe.batch_size": "true"}, "[recipe] batch_size", "true", "1 to "),
    ({"recipe.flip": "{ min = 0, max = 1 }"}, "[recipe] flip", "{ min = 0, max = 1 }", "true or false"),
    ({"recipe.flip": "1"}, "[recipe] flip", "1", "true or false"),
    ({"recipe.schedule": '"cosin"'}, "[recipe] schedule", '"cosin"', 'nearest: "cosine"'),
    ({"recipe.schedule": '"step"'}, "[recipe] milestones", "()", "step schedule"),
    ({"recipe.schedule": '["linear", "step"]'}, "[recipe] milestones", "()", "step schedule"),
    ({"recipe.init": '["imagenet", "he_normal"]', "recipe.frozen_stages": "[0, 2]"},
     "[recipe] frozen_stages", "2", "init 'imagenet'"),
    ({"recipe.frozen_stages": "{ min = 0, max = 2 }"}, "[recipe] frozen_stages", "2", "init 'imagenet'"),
    ({"recipe.milestones": "[[0.5]]"}, "[recipe] milestones", "[[0.5]]", "[fraction"),
    ({"data.source": '"shape"'}, "[data] source", '"shape"', 'nearest: "shapes"'),
    ({"data.source": '"tfds:"'}, "[data] source", '"tfds:"', "tfds:NAME"),
    ({"data.source": "7"}, "[data] source", "7", '"cifar10", "shapes"'),
    ({"data.validation": "1.0"}, "[data] validation", "1.0", "below 1"),
    ({"data.validation": "0"}, "[data] validation", "0", "from 1"),
    ({"data.validation": "nan"}, "[data] validation", "nan", "below 1"),
    ({"data.image_size": "4"}, "[data] image_size", "4", "8 to 512"),
    ({"axis.width": "[8]"}, "axis", "{ width = [8] }", 'nearest: "axes"'),
    ({"hyperband.method": '"grid"'}, "[hyperband] method", '"grid"', "file"),
    ({"data.description": '"a"'}, "[data] description", '"a"', "file"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "value", "said"), WRONG)
def test_a_mistake_names_its_key_its_value_and_what_is_allowed(changes, key, value, said):
    (mistake,) = mistakes(written(changes))
    assert mistake.startswith(f"{key}: ")
    assert value in mistake
    assert said in mistake
    assert "allowed: " in mistake
    assert mistake.isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["[axes] block: missing", "[axes] width: missing", "[axes] n: missing"]),
        ("axes = 3", ["axes: got 3; allowed: ", "[axes]"]),
        ("[[axes]]\nn = 1", ["axes: got [{ n = 1 }]; allowed: ", "[axes]"]),
        ("width = [8]\n" + written({}), ["width: got [8]; allowed: ", "[axes]"]),
        ("name = 3\n" + written({}), ["name: got 3; allowed: ", "[recipe]"]),
        ("description = 3\n" + written({}), ["description: got 3; allowed: "]),
        ('description = "a\\u0007"\n' + written({}), ['description: got "a\\x07"']),
        ('descripton = "a"\n' + written({}), ['descripton: got "a"', 'nearest: "description"']),
        ('method = "grit"\n' + written({}), ['method: got "grit"; allowed: "hyperband", "grid"; nearest: "grid"']),
        ("method = 3\n" + written({}), ['method: got 3; allowed: "hyperband", "grid"']),
        ('"\\u001b[2J" = 1\n' + written({}), ["\\x1b[2J: got 1"]),
        ('"" = 1\n' + written({}), [": got 1"]),
        (f"{'a.' * 3_000}b = 1\n" + written({}), ["a: got { a = { a = { … } } }"]),
    ],
)
def test_what_is_wrong_at_the_top_of_a_file(text, said):
    found = mistakes(text)
    assert len(found) <= 3
    assert all(any(part in mistake for mistake in found) for part in said)


GRID = 'method = "grid"\n'


@pytest.mark.parametrize(
    ("changes", "place", "value", "said"),
    [
        ({"hyperband.min_epochs": "3"}, "[hyperband] min_epochs", "3", "once"),
        ({"hyperband.final_epochs": "30"}, "[hyperband] final_epochs", "30", "once"),
        ({"hyperband.factor": "4"}, "[hyperband] factor", "4", "once"),
        ({"hyperband.iterations": "2"}, "[hyperband] iterations", "2", "once"),
        ({"recipe.batch_size": "[64, 128]"}, "[recipe] batch_size", "[64, 128]", "one value"),
        ({"recipe.momentum": "{ min = 0.8, max = 0.9 }"}, "[recipe] momentum", "{ min = 0.8, max = 0.9 }", "one value"),
    ],
)
def test_what_would_do_nothing_in_a_grid_is_a_mistake(changes, place, value, said):
    (mistake,) = mistakes(GRID + written(changes))
    assert mistake.startswith(f"{place}: got {value}; allowed: ")
    assert said in mistake
    parse_space(written(changes), "my.toml")


def test_a_grid_takes_the_defaults_that_a_run_writes_down():
    space = parse_space(GRID + written({"hyperband.factor": "3", "hyperband.iterations": "1"}), "my.toml")
    assert type(space).from_dict(space.to_dict()) == space


def models(text):
    return f"[axes]\nmodels = {text}\n"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (models('["resnet-20", "resnext29-8x64d"]'), "[axes] models", 'nearest: "resnext-29-8x64d"'),
        (models('"ResNet20"'), "[axes] models", 'nearest: "resnet-20"'),
        (models("[]"), "[axes] models", "resnet-search models"),
        (models('["plain-20", "plain-20"]'), "[axes] models", "once"),
        (models('"plain-20"') + "width = 16\n", "[axes] width", "models"),
        (models('"plain-20"') + "n = 3\n", "[axes] n", "models"),
    ],
)
def test_models_are_names_in_place_of_all_axes(text, place, said):
    (mistake,) = mistakes(text)
    assert mistake.startswith(f"{place}: got ")
    assert said in mistake


def test_all_mistakes_are_reported_at_once():
    wrong = {
        "axes.width": '["a", true, 0]',
        "axes.blok": "3",
        "axes.depth": "8",
        "limits.max_macs": "-1",
        "hyperband.factor": "0",
        "recipe.name": '"x"',
        "recipe.flip": "3",
        "data.validation": "2.0",
        "elsewhere.key": "1",
    }
    found = mistakes(written(wrong))
    places = [mistake.split(":")[0] for mistake in found]
    assert sorted(places) == sorted(
        [
            *("elsewhere", "[axes] blok", "[axes] width", "[axes] width", "[axes] width", "[axes] depth"),
            *("[limits] max_macs", "[hyperband] factor", "[recipe] name", "[recipe] flip", "[data] validation"),
        ]
    )


def test_a_mistyped_key_is_checked_under_the_name_it_meant():
    found = mistakes(written({"axes.width": None, "axes.widht": '"abc"'}))
    assert [mistake.split(":")[0] for mistake in found] == ["[axes] widht", "[axes] width"]


def test_an_empty_list_is_one_mistake():
    found = mistakes('[axes]\nblock = "basic"\nwidth = 16\nn = 1\nblocks = []')
    assert len(found) == 1
    assert found[0].startswith("[axes] blocks: got []; allowed: ")


def test_a_long_list_of_wrong_values_is_counted():
    found = mistakes(written({"axes.width": str(list(range(2_000, 4_000)))}))
    assert len(found) == 11
    assert found[-1].startswith("[axes] width: 1,990 more ")


def test_many_unknown_keys_are_counted():
    found = mistakes("\n".join(f"k{number} = 1" for number in range(2_000)) + "\n" + written({}))
    assert len(found) == 11
    assert found[-1].startswith("1,990 more ")


PRETRAINED = """
method = "{method}"
[axes]
models = {models}
[recipe]
name = "finetune"
init = {init}
"""


@pytest.mark.parametrize(
    ("models", "init", "wrong"),
    [
        ('["resnet-50-v2", "keras-resnet-101"]', '"imagenet"', ""),
        ('"resnet-20"', '"he_normal"', ""),
        ('["resnet-50-v2", "resnet-50", "resnet-20"]', '"imagenet"', "; not resnet-50"),
        ('"resnet-20"', '["he_normal", "imagenet"]', "; not resnet-20"),
    ],
)
def test_weights_of_imagenet_are_for_models_that_have_them(models, init, wrong):
    text = PRETRAINED.format(models=models, init=init, method="hyperband")
    if not wrong:
        assert parse_space(text, "mine")
        return
    (mistake,) = mistakes(text)
    assert mistake.startswith('[recipe] init: got "imagenet"; allowed: ')
    assert mistake.endswith(f"resnet-152-v2{wrong}")


def test_weights_of_imagenet_are_for_no_other_axes():
    (mistake,) = mistakes(written({"recipe.init": '"imagenet"'}))
    assert mistake.endswith("resnet-152-v2")
