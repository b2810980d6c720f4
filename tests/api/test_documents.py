"""The pages: readable, whole, and nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from api.card import escaped, markdown
from api.card_page import page
from api.documents import kind
from tests.api.parts import Site


class Page(HTMLParser):
    """What a page refers to, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_nobody_else_and_run_nothing(site: Site, path: str) -> None:
    answer = site.get(path, secret="")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    page = Page(answer.text)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    for link in page.links:
        assert re.match(r"^(/|#)", link), link
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert site.get(link, secret="", headers={"Accept": "*/*"}).status_code == 200, link
    assert page.tags.count("h1") == 1
    assert ("lang", "en") in page.attributes
    assert ("name", "viewport") in page.attributes
    assert len(answer.data) < 220_000


def test_every_operation_is_on_the_page(site: Site) -> None:
    spec = site.get("/openapi.json", secret="").json
    page = Page(site.get("/docs", secret="").text)
    operations = [
        operation["operationId"]
        for methods in spec["paths"].values()
        for operation in methods.values()
    ]
    assert set(operations) <= page.ids
    assert {f"schema-{name}" for name in spec["components"]["schemas"]} <= page.ids


def test_pages_can_be_cached(site: Site) -> None:
    first = site.get("/docs", secret="")
    assert "no-store" not in first.headers.get("Cache-Control", "")
    again = site.get("/docs", secret="", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_kinds_in_words() -> None:
    assert kind({"type": "array", "items": {"type": "string"}}) == "list of string"
    assert kind({"enum": ["a", "b"]}) == '"a" | "b"'
    assert kind({"$ref": "#/components/schemas/Limits"}) == "Limits"
    assert kind({}) == "any"


def test_markdown_shows_texts_of_the_data_as_text(site: Site) -> None:
    model = site.model()
    text = markdown(model)
    assert "<script>" not in text
    assert escaped("a\n# b") == "a \\# b"
    assert escaped("[x](javascript:1)") == "\\[x\\](javascript:1)"


def test_a_card_tells_recall_from_precision(site: Site) -> None:
    model = site.model()
    scores = {"recall_at_alert_rate": 0.0672, "prevalence": 0.1126}
    text = markdown(replace(model, card={**model.card, "scores": scores, "alert_rate": 0.01}))
    assert "| recall: of all positives, the share that is alerted | 0.0672 |" in text
    assert "| precision: of all alerts, the share that is positive | 0.756672 |" in text


def test_a_card_tells_on_how_many_rows_each_member_was_fitted(site: Site) -> None:
    model = site.model()
    member = {"weight": 0.5, "model": "lightgbm", "trial": 3, "params": {"num_leaves": 15}}
    card = {**model.card, "members": [{**member, "fitted_rows": 12_117}, member]}
    text = markdown(replace(model, card=card))
    assert "| Weight | Model | Trial | Rows fitted on | Parameters |" in text
    assert "| 0.5 | lightgbm | 3 | 12,117 | num leaves 15 |" in text
    assert "| 0.5 | lightgbm | 3 | not recorded | num leaves 15 |" in text


def test_a_card_tells_what_its_life_takes(site: Site) -> None:
    model = site.model()
    life = {
        "joules": {"search": 5.0, "use": 30.0, "total": 35.0},
        "gco2e": {"use": 0.002},
        "declared": True,
        "use": "10 predictions a day for 365 days, as declared.",
        "method": "As billed and expected.",
    }
    card = {**model.card, "lifetime": life, "row_milliseconds": 0.75}
    text = markdown(replace(model, card=card))
    assert "| What | Joules | gCO2e |" in text
    assert "| predicting | 30 | 0.002 |" in text
    assert "| all of it | 35 | none |" in text
    assert "One row alone takes 0.75 milliseconds" in text
    assert "10 predictions a day for 365 days, as declared. As billed and expected." in text
    assert "What its life" not in markdown(model)  # of an older version


def test_a_card_tells_no_life_of_a_use_that_nobody_declared(site: Site) -> None:
    model = site.model()
    life = {"joules": {"total": 35.0}, "gco2e": {"total": 0.002}, "declared": False}
    for lifetime in (life, {"joules": {"total": 35.0}, "gco2e": {"total": 0.002}}):
        card = {**model.card, "cost": {"total": BILLED}, "lifetime": lifetime}
        assert "| all of it" not in markdown(replace(model, card=card))
        assert "No use was declared" in markdown(replace(model, card=card))
        shown = page(replace(model, card=card), {}, curves=None)
        assert "energy" not in shown["life"]
        assert "No use was declared" in shown["life"]["note"]


BILLED = {"cpu_seconds": 9.0, "joules": 36.0, "kwh": 1e-5, "gco2e": 6e-4, "meter": "cpu_time"}
INTENSITY = {
    "zone": "WORLD",
    "grams_per_kwh": 475.0,
    "source": "IEA",
    "signal": "average",
    "factor_type": "direct",
    "share_estimated": 1.0,
    "error_grams": None,
    "issued_at": "2026-11-21T09:00:00+00:00",
    "year": 2018,
}


def test_a_card_says_by_which_meter_and_intensity_and_how_sure(site: Site) -> None:
    model = site.model()
    card = {**model.card, "cost": {"total": BILLED}, "intensity": INTENSITY}
    shown = " ".join(page(replace(model, card=card), {}, curves=None)["carbon"])
    for text in (shown, markdown(replace(model, card=card)).replace("\\", "")):
        assert "Energy by the meter cpu_time" in text
        assert "right within a factor of about 2" in text
        assert "475 gCO2e/kWh on average, zone WORLD, by IEA, of 2018 (average, direct)" in text
        assert "no uncertainty is known of it" in text
        assert "2026-11-21" not in text
    known = {**INTENSITY, "error_grams": 12.0, "year": None}
    text = markdown(replace(model, card={**card, "intensity": known}))
    assert "off by 12 g/kWh (one standard deviation)" in text


def test_a_card_names_the_columns_left_out(site: Site) -> None:
    model = site.model()
    left_out = [{"column": "duration", "why": "excluded by the request"}]
    dropped = [{"column": "x|y", "why": "constant"}]
    card = {**model.card, "excluded": left_out, "dropped_columns": dropped}
    text = markdown(replace(model, card=card))
    assert "## Columns left out\n\n| Column | Why |" in text
    assert "| duration | excluded by the request |\n| x\\|y | constant |" in text


def test_metrics_count_routes_not_ids(site: Site) -> None:
    dataset_id = site.upload()
    site.get(f"/v1/datasets/{dataset_id}")
    text = site.get("/metrics").text
    assert (
        'frugal_http_requests_total{method="GET",route="/v1/datasets/<dataset_id>",status="200"}'
        in text
    )
    assert dataset_id not in text
    assert 'frugal_jobs{state="SUBMITTED"} 0.0' in text
    site.job(dataset=dataset_id)
    assert 'frugal_jobs{state="SUBMITTED"} 1.0' in site.get("/metrics").text
    assert site.get("/metrics", headers={"Accept": "*/*"}).mimetype == "text/plain"


def test_health(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.get("/healthz", secret="").json["status"] == "ok"
    ready = site.get("/readyz", secret="")
    assert ready.json == {"status": "ok", "checks": {"database": "ok", "disk": "ok"}}
    monkeypatch.setattr(site.artifacts, "free_bytes", lambda: 1000)
    full = site.get("/readyz", secret="")
    assert (full.status_code, full.json["checks"]["disk"]) == (503, "full")
    assert int(full.headers["Retry-After"]) > 0

    def gone() -> None:
        raise ConnectionError("postgresql://user:secret@db")

    monkeypatch.setattr(site.store, "ping", gone)
    away = site.get("/readyz", secret="")
    assert away.status_code == 503
    assert "secret" not in away.text
    assert site.get("/healthz", secret="").status_code == 200
