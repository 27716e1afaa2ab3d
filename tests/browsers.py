"""Headless Chromium for the tests of pages."""

import shutil

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PATIENCE = 120  # seconds, for one core with much to do
REQUESTS = """return performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !name.startsWith("data:"))"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Headless Chromium under its driver; skips where the machine has none that starts."""
    driver_path = shutil.which("chromedriver")
    if BROWSER is None or driver_path is None:
        pytest.skip("no Chromium with a driver on this machine: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in FLAGS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    except Exception as error:  # whatever a container forbids: processes, sandboxes, shared memory
        pytest.skip(f"the Chromium of this machine does not start: {str(error).splitlines()[0]}")
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()
