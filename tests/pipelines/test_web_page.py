"""The page in a real Chromium, with a real server behind it."""

import struct
from urllib.parse import quote

import pytest
from browser import chromium
from web_server import build_index, documents_of, serving, write_generator

pytest.importorskip("hayhooks", reason="the extra serve is not installed")

pytestmark = pytest.mark.integration

HTML = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script> <b>mielo</b>"
EPO = [
    {"content": "Abeloj faras mielon el nektaro. " * 30, "meta": {"title": "Mielo", "url": "https://example.org/m"}},
    {"content": "La abelujo estas la loĝejo de abeloj.", "meta": {"title": "Abelujo", "url": "javascript:alert(1)"}},
    {"content": HTML, "meta": {"title": "<i>abeloj</i>"}},
    {"content": "Zamenhof kreis Esperanton."},
]
FAS = [
    {"content": "زنبورها شهد گل‌ها را جمع می‌کنند و عسل می‌سازند.", "meta": {"title": "عسل"}},
    {"content": "کندو خانهٔ زنبورهاست.", "meta": {"title": "کندو"}},
    {"content": "Tehran is the capital of Iran.", "meta": {"title": "Tehran", "language": "en"}},
]
REPLY = "Abeloj faras mielon [1]. <b>Ili</b> loĝas en abelujo [2]."
QUESTION = "Kiel abeloj faras mielon?"
DONE = "document.getElementById('status').textContent.includes('passage')"
ANSWERED = "document.querySelector('#answer .cite') !== null"


def ids(place):
    return f"[...document.querySelectorAll('#{place} li')].map(item => item.dataset.id)"


@pytest.fixture(scope="module")
def epo(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("epo")
    index = build_index(folder / "index", "epo", tiny_model, documents_of(EPO))
    generator = write_generator(folder / "generator.yaml", REPLY)
    with serving(folder, "epo", tiny_model, "--index", index, "--generator", generator) as server:
        yield server


@pytest.fixture(scope="module")
def fas(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("fas")
    index = build_index(folder / "index", "fas", tiny_model, documents_of(FAS))
    with serving(folder, "fas", tiny_model, "--index", index, HAYSTACK_LRL_API_KEY="sesame") as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium") / "profile") as page:
        yield page


@pytest.fixture
def page(browser):
    browser.call(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    browser.evaluate("location.origin === 'null' || sessionStorage.clear()")
    browser.emulate()
    browser.resize(1200, 900)
    browser.events.clear()
    return browser


def faults(page):
    return [event for event in page.events if event.get("entry", {}).get("level", "error") in {"error", "warning"}]


def test_a_question_is_typed_and_answered_with_its_sources(page, epo):
    page.open(epo.url)
    page.type(QUESTION)  # the field has the focus
    page.press("Enter")
    page.wait(ANSWERED)
    assert page.evaluate("location.search") == "?" + "q=" + quote(QUESTION).replace("%20", "+")
    assert page.evaluate("document.querySelector('#answer p').textContent") == REPLY
    found = epo.result("/search/run", {"query": QUESTION})
    for place in ("documents", "lexical", "dense"):
        assert page.evaluate(ids(place)) == [row["id"] for row in found[place]]
    scores = page.evaluate("[...document.querySelectorAll('#dense .value')].map(value => value.textContent)")
    assert scores == [f"{row['score']:.3f}" for row in found["dense"]]
    left, right = (
        page.evaluate(f"document.getElementById('{name}').getBoundingClientRect().x") for name in ("lexical", "dense")
    )
    assert left < right
    assert page.evaluate("document.querySelectorAll('#answer .cited li').length") == 2
    assert faults(page) == []


def test_a_citation_leads_to_its_passage(page, epo):
    page.open(f"{epo.url}/?q={quote(QUESTION)}")
    page.wait(ANSWERED)
    page.evaluate("document.querySelector('#answer .cite').click()")
    page.wait("document.querySelector(':target') !== null")
    first = epo.result("/ask/run", {"query": QUESTION})["sources"][0]
    assert page.evaluate("document.querySelector(':target').dataset.id") == first["id"]
    assert page.evaluate("document.querySelectorAll('#documents li').length") > 0


def test_a_passage_is_marked_in_all_rankings(page, epo):
    page.open(f"{epo.url}/?q={quote(QUESTION)}")
    page.wait(ANSWERED)
    marked = "[...document.querySelectorAll('li.same')].map(item => item.dataset.id)"
    page.evaluate("document.querySelector('#lexical a').focus()")
    assert page.evaluate(marked) == ["d0", "d0", "d0"]
    page.evaluate("document.activeElement.blur()")
    assert page.evaluate(marked) == []


def test_html_in_a_document_and_in_an_answer_is_text(page, epo):
    page.open(f"{epo.url}/?q={quote(QUESTION)}")
    page.wait(ANSWERED)
    assert HTML in page.evaluate("document.getElementById('documents').textContent")
    assert page.evaluate("document.querySelectorAll('main :is(img, script, b, i)').length") == 0
    assert "broken" not in page.evaluate("document.title")
    addresses = page.evaluate("[...document.querySelectorAll('main a')].map(link => link.protocol)")
    assert set(addresses) <= {"http:", "https:"}
    assert faults(page) == []


def test_a_script_that_gets_in_does_not_run(page, epo):
    page.open(epo.url)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = true\">')")
    page.evaluate("new Promise(done => setTimeout(done, 300))")
    assert page.evaluate("window.ran") is None
    assert "Content Security Policy" in str(page.events)


def test_back_returns_to_the_question_before(page, epo):
    page.open(f"{epo.url}/?q=abelujo")
    page.wait(DONE)
    page.evaluate("document.getElementById('query').select()")
    page.type("Zamenhof")
    page.press("Enter")
    page.wait(f"{DONE} && {ids('documents')}[0] === 'd3'")
    page.evaluate("history.back()")
    page.wait(f"document.getElementById('query').value === 'abelujo' && {DONE} && {ids('lexical')}[0] === 'd1'")


def test_it_is_used_by_keyboard_and_every_control_has_a_name(page, epo):
    page.open(f"{epo.url}/?q={quote(QUESTION)}")
    page.wait(ANSWERED)
    page.evaluate("document.getElementById('query').focus()")
    visited = []
    for _ in range(6):
        page.press("Tab")
        visited.append(page.evaluate("document.activeElement.textContent"))
    assert visited == ["Ask", "[1]", "[2]", *visited[3:]]
    assert "Show all" in "".join(visited) or "Mielo" in "".join(visited)
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [
        n for n in nodes if n.get("role", {}).get("value") in {"link", "button", "searchbox", "textbox", "region"}
    ]
    assert len(controls) > 10
    assert [n for n in controls if not n.get("name", {}).get("value")] == []
    page.evaluate("document.querySelector('button.more').click()")
    assert page.evaluate("document.querySelector('button.more').getAttribute('aria-expanded')") == "true"


def test_what_fails_is_said(page, epo):
    page.open(epo.url)
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    page.type(QUESTION)
    page.press("Enter")
    page.wait("!document.getElementById('error').hidden")
    assert page.evaluate("document.getElementById('error').textContent") == "The server cannot be reached."
    assert page.evaluate("document.getElementById('answer').hidden")


@pytest.mark.parametrize("width", [320, 390, 800, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_in_light_and_dark(page, epo, tmp_path, width, scheme):
    page.emulate(scheme=scheme)
    page.resize(width, 900)
    page.open(f"{epo.url}/?q={quote(QUESTION)}")
    page.wait(ANSWERED)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(paper.split("(")[1].split(",")[0]) < 80) == (scheme == "dark")
    picture = page.screenshot(tmp_path / "page.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (width, 900)
    assert len(picture) > 10_000  # there is something in it


def test_it_prints_whole_passages(page, epo):
    page.open(f"{epo.url}/?q={quote(QUESTION)}")
    page.wait(ANSWERED)
    cut = "(text => text.scrollHeight > text.clientHeight)(document.querySelector('.text.cut'))"
    assert page.evaluate(cut)
    page.emulate(media="print")
    assert not page.evaluate(cut)
    assert page.call("Page.printToPDF")["data"]


def test_persian_runs_from_right_to_left_and_the_key_is_asked_for(page, fas, tmp_path):
    page.open(f"{fas.url}/?q={quote('عسل زنبورها')}")
    page.wait("!document.getElementById('unlock').hidden")
    page.evaluate("document.getElementById('key').focus()")
    page.type("sesame")
    page.press("Enter")
    page.wait(DONE)
    page.wait("document.getElementById('unlock').hidden")
    assert page.evaluate("document.documentElement.dir") == "rtl"
    assert page.evaluate("document.getElementById('answer').hidden")
    directions = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#documents .text')].map(text => "
        "[text.closest('li').dataset.id, getComputedStyle(text).direction + text.lang]))"
    )
    assert directions == {"d0": "rtlfa", "d1": "rtlfa", "d2": "ltren"}
    words, meaning = (
        page.evaluate(f"document.getElementById('{name}').getBoundingClientRect().x") for name in ("lexical", "dense")
    )
    assert words > meaning
    field, button = (
        page.evaluate(f"document.querySelector('#form {tag}').getBoundingClientRect().x") for tag in ("input", "button")
    )
    assert field > button
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    assert page.screenshot(tmp_path / "page.png").stat().st_size > 10_000
