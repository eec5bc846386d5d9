import pytest
import torch

from haystack_lrl.adaptation.merging import choose_weight, copy_state, differs, interpolate
from haystack_lrl.adaptation.settings import MergeSettings
from haystack_lrl.records.errors import InputError

BASE_POINT = (0.3, 0.8)


@pytest.fixture
def states(tiny):
    """The weights of the tiny model, and others of the same shapes."""
    base = copy_state(tiny)
    generator = torch.Generator().manual_seed(3)
    adapted = {
        name: weights + 0.1 * torch.randn(weights.shape, generator=generator)
        if weights.is_floating_point()
        else weights
        for name, weights in base.items()
    }
    return base, adapted


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_ends_are_base_and_adapted_bit_by_bit(states):
    base, adapted = states
    assert_equal(interpolate(base, adapted, 0.0), base)
    assert_equal(interpolate(base, adapted, 1.0), adapted)


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.7])
def test_between_them_lies_the_weighted_mean(states, weight):
    base, adapted = states
    for name, merged in interpolate(base, adapted, weight).items():
        torch.testing.assert_close(merged, (1 - weight) * base[name] + weight * adapted[name])


def test_whole_numbers_stay_those_of_the_base():
    base, adapted = {"steps": torch.tensor([3])}, {"steps": torch.tensor([9])}
    assert interpolate(base, adapted, 0.5)["steps"].tolist() == [3]


def test_a_copy_of_the_weights_does_not_follow_the_model(tiny):
    state = copy_state(tiny)
    before = {name: tensor.clone() for name, tensor in state.items()}
    with torch.no_grad():
        for weights in tiny.parameters():
            weights.add_(1)
    assert_equal(state, before)
    assert differs(state, copy_state(tiny))


def choose(tiny, states, points, **settings):
    """Choose among weights whose dev values are given in the order in which they are tried."""
    measured = iter([BASE_POINT, *points])
    return choose_weight(tiny, *states, MergeSettings(**settings), lambda: next(measured))


@pytest.mark.parametrize(
    ("points", "chosen"),
    [
        ([(0.4, 0.8), (0.5, 0.8), (0.6, 0.8)], 0.9),  # the best
        ([(0.4, 0.9), (0.5, 0.8), (0.6, 0.79)], 0.6),  # the best that keeps its English
        ([(0.4, 0.9), (0.5, 0.7), (0.6, 0.7)], 0.3),
        ([(0.5, 0.8), (0.5, 0.8), (0.5, 0.8)], 0.3),  # of equal ones the nearest to the base
        ([(0.4, 0.7), (0.5, 0.75), (0.6, 0.7)], 0.3),  # all too far: the lowest
        ([(0.1, 0.8), (0.2, 0.8), (0.1, 0.8)], 0.6),  # never the base itself, which is not adapted
    ],
)
def test_the_best_weight_above_the_english_floor_is_taken(tiny, states, points, chosen):
    result = choose(tiny, states, points, weights=(0.9, 0.3, 0.6))
    assert result.chosen == chosen
    assert_equal(copy_state(tiny), interpolate(*states, chosen))
    assert [(point.weight, point.dev, point.english) for point in result.points] == [
        (0.0, *BASE_POINT),
        *((weight, *point) for weight, point in zip((0.3, 0.6, 0.9), points, strict=True)),
    ]


def test_the_floor_lies_below_the_base_by_the_drop_that_is_allowed(tiny, states):
    points = [(0.4, 0.8), (0.5, 0.76), (0.6, 0.7)]
    result = choose(tiny, states, points, weights=(0.3, 0.6, 0.9), english_drop=0.05)
    assert (result.chosen, result.english_floor) == (0.6, pytest.approx(0.75))
    assert result.to_json()["chosen"] == 0.6
    assert result.to_json()["points"][1] == {"weight": 0.3, "dev": 0.4, "english": 0.8}


def test_each_weight_is_measured_on_its_own_merge(tiny, states):
    seen = []

    def measure():
        seen.append(copy_state(tiny))
        return 0.5, 0.5

    choose_weight(tiny, *states, MergeSettings(weights=(0.2, 1.0)), measure)
    assert_equal(seen[0], states[0])
    assert_equal(seen[1], interpolate(*states, 0.2))
    assert_equal(seen[2], states[1])


def test_a_model_that_did_not_learn_is_refused(tiny, states):
    with pytest.raises(InputError, match=r"equal to its base: raise training\.learning_rate"):
        choose(tiny, (states[0], dict(states[0])), [])


@pytest.mark.parametrize("change", ["missing", "added", "wider"])
def test_a_model_of_another_architecture_is_refused(tiny, states, change):
    base, last = states[0], list(states[0])[-1]
    adapted = dict(base)
    if change == "missing":
        del adapted[last]
    elif change == "added":
        adapted["one.more.layer"] = torch.zeros(3)
    else:
        adapted[last] = torch.zeros(99)
    with pytest.raises(InputError, match="differ in architecture: merge a model with its own base"):
        choose(tiny, (base, adapted), [(0.5, 0.5)] * 9)


@pytest.mark.parametrize("weights", [(), (0.0,), (0.5, 1.1), (-0.5,)])
def test_weights_off_the_line_are_refused(weights):
    with pytest.raises(ValueError, match=r"merge\.weights is"):
        MergeSettings(weights=weights)
