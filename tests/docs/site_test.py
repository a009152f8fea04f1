#!/usr/bin/python3
"""The documentation can be read: on a forge, where links lead from one file to
another, and as HTML, which needs no network and leaves no page out."""
import html.parser
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "docs" / "site"))
import build

VOID = set("area base br col embed hr img input link meta source wbr".split())
LINK = re.compile(r"\[[^][]*\]\(([^()\s]+)\)")


class Page(html.parser.HTMLParser):
    """What a test asks of a page: its ids, links, what it loads, and what is
    wrong with its tags."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.wrong = [], [], [], []
        self.nav, self.open = [], []
        self.headings, self.anchors = 0, 0
        self.feed(text)
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if "nav" in self.open and "#" not in given["href"]:
                self.nav.append(given["href"])
            self.anchors += given.get("class") == "anchor"
        self.headings += tag in ("h2", "h3", "h4")
        if tag in ("link", "script", "img", "iframe", "source"):
            self.loads.append(given.get("href") or given.get("src"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            line = self.getpos()[0]
            self.wrong.append(f"line {line}: </{tag}> in {self.open}")
        else:
            self.open.pop()


class Site(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.out = pathlib.Path(cls.directory.name)
        subprocess.run([SOURCE / "docs/site/build.py", cls.out], check=True)
        cls.pages = {file.name: Page(file.read_text())
                     for file in cls.out.glob("*.html")}

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_each_page_is_in_the_navigation_of_all_in_order(self):
        names = [f"{name}.html" for name in build.sources()]
        self.assertEqual(names[:2], ["index.html", "tutorial.html"])
        self.assertEqual(sorted(names), sorted(self.pages))
        self.assertLessEqual({f"{file.stem}.html"
                              for file in SOURCE.glob("docs/*.md")},
                             set(names))
        for name, page in self.pages.items():
            self.assertEqual(page.nav, names, name)

    def test_no_link_is_dead(self):
        for name, page in self.pages.items():
            for link in page.links:
                if re.match("[a-z]+:", link):
                    continue
                file, _, anchor = link.partition("#")
                target = self.pages.get(file or name)
                self.assertIsNotNone(target, f"{name}: {link}")
                if anchor:
                    self.assertIn(anchor, target.ids, f"{name}: {link}")

    def test_tags_are_closed_and_ids_are_unique(self):
        for name, page in self.pages.items():
            self.assertEqual(page.wrong, [], name)
            self.assertEqual(len(page.ids), len(set(page.ids)), name)

    def test_every_heading_can_be_linked_to(self):
        for name, page in self.pages.items():
            self.assertEqual(page.anchors, page.headings, name)
        self.assertGreater(self.pages["tutorial.html"].headings, 5)

    def test_nothing_is_loaded_but_the_style(self):
        for name, page in self.pages.items():
            self.assertEqual(page.loads, ["style.css"], name)
        style = (self.out / "style.css").read_text()
        self.assertNotRegex(style, r"url\(|@import")

    def test_blocks_are_marked_as_what_they_are(self):
        text = (self.out / "tutorial.html").read_text()
        self.assertIn('data-name="weather.lua"', text)
        self.assertIn('<pre class="text output">', text)
        self.assertIn('<span class="kw">function</span>', text)


class Forge(unittest.TestCase):
    """Links of the Markdown files, from where each of them lies."""

    def links(self):
        for file in build.sources().values():
            text = re.sub(r"(?ms)^\s*```.*?^\s*```$", "", file.read_text())
            for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
                if not re.match("[a-z]+:", target):
                    yield file, target

    def test_links_lead_to_files(self):
        found = list(self.links())
        self.assertGreater(len(found), 10)
        for file, target in found:
            path = target.partition("#")[0]
            self.assertTrue((file.parent / path).exists(),
                            f"{file}: {target}")

    def test_the_first_page_leads_to_all_others(self):
        index = SOURCE / "docs" / "index.md"
        linked = {(file.parent / target.partition("#")[0]).resolve()
                  for file, target in self.links() if file == index}
        others = set(build.sources().values()) - {index}
        self.assertEqual(others - linked, set())


if __name__ == "__main__":
    unittest.main()
