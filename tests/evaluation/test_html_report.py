"""The page of a comparison: what is in it, and what a browser makes of it."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from barycode.evaluation.anchors import JPEG, WEBP
from barycode.evaluation.equal_bytes import at_bytes
from barycode.evaluation.html_report import render, write_html
from barycode.evaluation.rate_distortion import Picture
from barycode.evaluation.report import Comparison

ANCHOR_NAMES = ("JPEG", "WebP", "AVIF", "AVIF 4:4:4 PSNR", "HEIC")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
def browser(request):
    """Headless Chromium of a width; a console error fails the test."""
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium chromium-driver")
    driver_path = shutil.which("chromedriver")
    if driver_path is None:
        pytest.skip("no chromedriver on this machine: apt-get install chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    width, height = getattr(request, "param", (1200, 900))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option(
        "mobileEmulation", {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0}}
    )
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    yield driver
    errors = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.quit()
    assert errors == []


def test_the_slider_can_be_dragged_and_moved_by_keys(browser, page):
    browser.get(page.as_uri())
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


def test_picture_measure_and_curves_can_be_chosen(browser, page, pictures):
    browser.get(page.as_uri())
    from selenium.webdriver import Keys

    table = browser.find_element("id", "bd")
    assert "50.0 %" in table.text
    before = browser.find_element("id", "left-image").get_attribute("src")
    browser.find_element("id", "previous").click()  # from all pictures to the last
    assert pictures[1].name in browser.find_element("id", "left-image").get_attribute("alt")
    assert browser.find_element("id", "left-image").get_attribute("src") != before
    browser.find_element("css selector", "#measures label:nth-of-type(3)").click()
    assert "SSIMULACRA2" in browser.find_element("id", "bd").text
    chart = browser.find_element("css selector", "#chart svg")
    paths = len(browser.find_elements("css selector", "#chart path"))
    chart.send_keys(Keys.ARROW_RIGHT)
    assert "bpp" in browser.find_element("css selector", ".tip").text
    browser.find_element("css selector", "#legend button:nth-child(2)").click()
    assert len(browser.find_elements("css selector", "#chart path")) == paths - 1


@pytest.mark.parametrize("browser", [(360, 740), (1200, 900)], indirect=True)
def test_nothing_is_wider_than_the_screen(browser, page):
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    tops = [browser.find_element("id", name).rect["width"] for name in ("chart", "stage", "bd")]
    assert all(100 < width <= browser.execute_script("return window.innerWidth") for width in tops)
