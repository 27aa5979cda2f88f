"""The manual's page of settings."""

from pathlib import Path

from drawbar.config.reference import page
from drawbar.config.settings import SETTINGS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_page_in_the_manual_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m drawbar.config.reference > docs/reference/configuration.md"


def test_every_setting_is_on_the_page() -> None:
    written = page()
    for setting in SETTINGS:
        assert f"\n### {setting.key}\n" in written
        assert f"`{setting.env}`" in written
