"""Chromium for tests that drive a page."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM: Final = Path("/usr/bin/chromium")
_NOT_WANTED: Final = ("background-networking", "component-update", "sync", "gpu")


@contextmanager
def open_chromium(*more: str) -> Iterator[Any]:
    """Start Debian's Chromium, with `more` flags; skip the test where it cannot be had."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api")
    disabled = (f"--disable-{name}" for name in _NOT_WANTED)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--headless", "--no-sandbox", *disabled, *more]
        )
        yield browser
        browser.close()
