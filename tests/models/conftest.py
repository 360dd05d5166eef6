"""The reference answers as a fixture."""

import pytest
from golden import Golden, golden_of


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return golden_of(request.param)
