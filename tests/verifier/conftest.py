"""One Node process for all tests of the page's verifier."""

from collections.abc import Iterator

import pytest

from tests.verifier.node import Page


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    running = Page()
    yield running
    running.close()
