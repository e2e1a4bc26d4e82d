"""Both engines do what the model does, whatever happens in whatever order. `make model` walks on for longer."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.steps import NUMBERS, WEIGHTS, Step
from tests.model.walk import Walker, life
from tests.servers import NAMES, Server, Servers

pytestmark = pytest.mark.exact_answers("it compares each answer with that of a model which was asked once")

_NUMBER = st.integers(0, NUMBERS - 1)
_VERB = st.sampled_from([verb for verb, weight in WEIGHTS.items() for _ in range(weight)])
_STEPS = st.lists(st.tuples(_VERB, _NUMBER, _NUMBER, _NUMBER), min_size=25, max_size=50)


@pytest.fixture
def walker(valkey: Server, request: pytest.FixtureRequest) -> Iterator[Walker]:
    one = Walker(valkey, f"model-{id(request):x}")
    yield one
    one.close()


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
def test_both_engines_do_what_the_model_does(walker: Walker, steps: list[Step]) -> None:
    walker.walk(steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_long_life_is_the_same_on_every_server(
    servers: Servers, name: str, request: pytest.FixtureRequest
) -> None:
    walker = Walker(servers[name], f"long-{id(request):x}")
    walker.walk(life(seed=11, number=NAMES.index(name)))
    walker.close()
