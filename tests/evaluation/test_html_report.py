"""The page of a comparison: what is in it, and what a browser makes of it."""

import json
import re
from dataclasses import replace

import pytest

from barycode.evaluation.anchors import JPEG, WEBP
from barycode.evaluation.equal_bytes import at_bytes
from barycode.evaluation.html_report import render, write_html
from barycode.evaluation.rate_distortion import Picture
from barycode.evaluation.report import Comparison
from browsers import REQUESTS, chromium  # noqa: F401 (a fixture)

ANCHOR_NAMES = ("JPEG", "WebP", "AVIF", "AVIF 4:4:4 PSNR", "HEIC")
DESKTOP, PHONE, SMALL_PHONE = (1200, 900), (390, 844), (360, 740)


@pytest.fixture(scope="session")
def pictures(picture):
    second = Picture("<b>two</b> </script>", picture.image.transpose(1).resize((190, 180)))
    return [replace(picture, name="waves.png"), second]


@pytest.fixture(scope="session")
def shown(curve, pictures):
    """Made-up curves; files to look at that come from JPEG and WebP."""
    rows = [
        row
        for picture in pictures
        for name, factor in zip(("Barycode", *ANCHOR_NAMES), (1, 2, 1.4, 1.1, 0.9, 1.2), strict=True)
        for row in curve(name, picture.name, factor)
    ]
    codecs = [
        replace(WEBP if i % 2 else JPEG, name=name) for i, name in enumerate(("Barycode", *ANCHOR_NAMES))
    ]
    return Comparison("2 pictures of holiday", rows, codecs[:1], codecs[1:])


@pytest.fixture(scope="session")
def page(shown, pictures, tmp_path_factory):
    return write_html(shown, pictures, tmp_path_factory.mktemp("page") / "index.html")


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_is_whole_and_needs_no_network(page):
    text = page.read_text()
    assert "{{" not in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    data = data_of(text)
    assert data["bd"]["Barycode"]["PSNR"]["JPEG"]["mean"] == pytest.approx(-50, abs=0.2)
    assert data["means"]["Barycode"][0][1] == pytest.approx(0.1)
    assert data["pictures"][0]["shots"]["Original"]["size"] is None
    assert data["pictures"][0]["shots"]["WebP"]["source"].startswith("data:image/webp;base64,")


def test_names_cannot_break_out_of_the_page(shown, pictures):
    text = render(replace(shown, title="</title><script>alert(1)</script>"), {})
    assert "<script>alert" not in text
    assert data_of(text)["pictures"][1]["name"] == pictures[1].name


def test_shots_have_the_bytes_that_were_asked_for(picture):
    for quality in (27, 66):
        wanted = len(WEBP.encode(picture.image, quality)) + 3
        shot = at_bytes(WEBP, picture.image, wanted)
        assert shot.size == pytest.approx(wanted, rel=0.02)
        assert shot.size == len(WEBP.encode(picture.image, shot.setting))
        assert shot.image.size == picture.image.size


def test_out_of_reach_gives_the_nearest_end(picture):
    assert at_bytes(JPEG, picture.image, 10**7).setting == pytest.approx(JPEG.settings[-1], abs=0.5)
    assert at_bytes(JPEG, picture.image, 1).setting == pytest.approx(JPEG.settings[0], abs=0.5)


@pytest.fixture
def browser(chromium, page, request):  # noqa: F811
    """The page in Chromium at a width and height; an error in its console, or a request, fails the test."""
    width, height = getattr(request, "param", DESKTOP)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chromium.get(page.as_uri())
    yield chromium
    assert chromium.get_log("browser") == []
    assert chromium.execute_script(REQUESTS) == []


def test_the_slider_can_be_dragged_and_moved_by_keys(browser):
    from selenium.webdriver import ActionChains, Keys

    stage = browser.find_element("id", "stage")
    share = "return parseFloat(document.getElementById('stage').style.getPropertyValue('--x')) || 50"
    quarter = stage.size["width"] // 4
    ActionChains(browser).move_to_element(stage).click_and_hold().move_by_offset(
        quarter, 0
    ).release().perform()
    dragged = browser.execute_script(share)
    assert dragged == pytest.approx(75, abs=2)
    browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert browser.execute_script(share) == pytest.approx(dragged - 2, abs=0.2)
    ActionChains(browser).move_to_element(stage).perform()
    assert browser.execute_script(share) == pytest.approx(dragged - 2, abs=0.2), "hovering does not drag"


def test_picture_measure_and_curves_can_be_chosen(browser, pictures):
    from selenium.webdriver import Keys

    table = browser.find_element("id", "bd")
    assert "50.0 %" in table.text
    assert not browser.find_element("id", "tested").is_displayed(), "one codec: nothing to choose"
    before = browser.find_element("id", "left-image").get_attribute("src")
    browser.find_element("id", "previous").click()  # from all pictures to the last
    assert pictures[1].name in browser.find_element("id", "left-image").get_attribute("alt")
    assert browser.find_element("id", "left-image").get_attribute("src") != before
    decoded = "return ['left-image', 'right-image'].map((id) => document.getElementById(id).naturalWidth)"
    assert browser.execute_script(decoded) == [190, 190]
    browser.find_element("css selector", "#measures label:nth-of-type(3)").click()
    assert "SSIMULACRA2" in browser.find_element("id", "bd").text
    chart = browser.find_element("css selector", "#chart svg")
    paths = len(browser.find_elements("css selector", "#chart path"))
    chart.send_keys(Keys.ARROW_RIGHT)
    assert "bpp" in browser.find_element("css selector", ".tip").text
    browser.find_element("css selector", "#legend button:nth-child(2)").click()
    assert len(browser.find_elements("css selector", "#chart path")) == paths - 1


@pytest.mark.parametrize("browser", [SMALL_PHONE, PHONE, DESKTOP], indirect=True)
def test_nothing_is_wider_than_the_screen(browser):
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    tops = [browser.find_element("id", name).rect["width"] for name in ("chart", "stage", "bd")]
    assert all(100 < width <= browser.execute_script("return window.innerWidth") for width in tops)
    letters = browser.find_element("css selector", "#chart text").rect["height"]
    assert letters > 10, "the chart's words are read at every width"
